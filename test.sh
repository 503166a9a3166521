#!/usr/bin/env bash
# Builds everything and runs every test. Needs the .NET SDK; installs the browser for the browser tests where it may.
#
#   ./test.sh                  all tests
#   ./test.sh --filter X       tests whose name contains X, or a query such as "/*/*/ConceptsTests"
#   ./test.sh --no-build       what was built last
#
# Variables: ATLAS_DATA (folder of real data; default ../shared/data), ATLAS_GOLDEN (folder of reference values),
# CHROMIUM_PATH (browser to use), TEST_TIMEOUT (seconds that one test project may take; default 780).
# The last line is "N passed, N failed", with ", N skipped" where tests were left out. Exit code 0 only if none failed.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root" || exit 1

filter=""
build=1
while [ $# -gt 0 ]; do
  case "$1" in
    --filter) [ $# -ge 2 ] || { echo "--filter needs a text." >&2; exit 2; }; filter=$2; shift 2 ;;
    --filter=*) filter=${1#--filter=}; shift ;;
    --no-build) build=0; shift ;;
    -h|--help) sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "Unknown option $1. Known: --filter X, --no-build." >&2; exit 2 ;;
  esac
done

say() { printf '%s\n' "$*"; }
headline() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }
stop() { say "$*" >&2; say "0 passed, 1 failed"; exit 1; }

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
export ATLAS_DATA=${ATLAS_DATA:-$(dirname "$root")/shared/data}

# --- the SDK
wanted=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' global.json | head -1)
if ! command -v dotnet >/dev/null 2>&1 && [ -x "$HOME/.dotnet/dotnet" ]; then
  export PATH="$HOME/.dotnet:$PATH" DOTNET_ROOT="$HOME/.dotnet"
fi
command -v dotnet >/dev/null 2>&1 || stop "The .NET SDK is missing. Install version $wanted or a later 10.0 from https://dot.net and run ./test.sh again."
dotnet --version >/dev/null 2>&1 || stop "No installed .NET SDK fits global.json ($wanted or a later 10.0). Installed: $(dotnet --list-sdks 2>/dev/null | cut -d' ' -f1 | tr '\n' ' ')"
say ".NET SDK $(dotnet --version)"

# --- the browser
find_browser() {
  if [ -n "${CHROMIUM_PATH:-}" ]; then
    [ -x "$CHROMIUM_PATH" ] && { say "$CHROMIUM_PATH"; return 0; }
    return 1
  fi
  local name
  for name in chromium chromium-browser google-chrome-stable google-chrome; do
    command -v "$name" 2>/dev/null && return 0
  done
  return 1
}

browser_note=""
install_browser() {
  command -v apt-get >/dev/null 2>&1 || { browser_note="this system has no apt-get"; return 1; }
  local as=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null || { browser_note="installing needs root rights"; return 1; }
    as="sudo -n"
  fi
  local log
  log=$(mktemp)
  say "Chromium is missing: installing it with apt-get ..."
  $as apt-get update -qq >"$log" 2>&1
  $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fonts-liberation >>"$log" 2>&1 \
    || { browser_note="apt-get could not install it: $(tail -n 2 "$log" | tr '\n' ' ')"; rm -f "$log"; return 1; }
  rm -f "$log"
}

if browser=$(find_browser) || { [ -z "${CHROMIUM_PATH:-}" ] && install_browser && browser=$(find_browser); }; then
  export CHROMIUM_PATH="$browser"
  say "Browser: $CHROMIUM_PATH"
else
  if [ -n "${CHROMIUM_PATH:-}" ]; then
    browser_note="CHROMIUM_PATH names $CHROMIUM_PATH, which cannot be run"
  fi
  say "No browser, so the browser tests will fail: ${browser_note:-not found}. Install Chromium or Chrome, or name one with CHROMIUM_PATH." >&2
fi

# --- build
configuration=debug
if [ "$build" -eq 1 ]; then
  headline "Building"
  # Build nodes that stay behind would hold the output open and memory back.
  export MSBUILDDISABLENODEREUSE=1
  dotnet build Dashboard.sln -c Debug -v quiet -nodeReuse:false || stop "The build failed; see the messages above."
fi

# --- run
results=$(mktemp -d)
running=()
cleanup() {
  local pid
  for pid in ${running[@]+"${running[@]}"}; do kill "$pid" 2>/dev/null; done
  rm -rf "$results"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

selection=()
if [ -n "$filter" ]; then
  case "$filter" in
    /*) selection=(-filter "$filter") ;;
    *) selection=(-preEnumerateTheories -displayName "*$filter*") ;;
  esac
fi

run_project() { # name
  local name=$1 exe
  exe=$(find artifacts/cpu/bin/"$name" -maxdepth 2 -path "*/${configuration}*/$name" -type f 2>/dev/null | head -1)
  if [ -z "$exe" ]; then
    say "$name was not built." >"$results/$name.log"
    say 1 >"$results/$name.rc"
    return
  fi
  timeout --kill-after=20 "${TEST_TIMEOUT:-780}" "$exe" -noLogo -noColor -noAutoReporters -reporter quiet \
    -result-xml "$results/$name.xml" ${selection[@]+"${selection[@]}"} >"$results/$name.log" 2>&1 </dev/null
  say $? >"$results/$name.rc"
}

unescape() { sed -e 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&apos;/'"'"'/g; s/&#xA;/ /g; s/&amp;/\&/g'; }

passed=0 failed=0 skipped=0
count() { # attribute of the one assembly element
  sed -n 's/.*<assembly [^>]*[ ]'"$1"'="\([0-9]*\)".*/\1/p' "$2" | head -1
}

report() { # name
  local name=$1 xml=$results/$1.xml log=$results/$1.log rc p f e s
  rc=$(cat "$results/$name.rc" 2>/dev/null || say 1)
  headline "$name"
  p=0 f=0 e=0 s=0
  if [ -s "$xml" ]; then
    p=$(count passed "$xml"); f=$(count failed "$xml"); e=$(count errors "$xml"); s=$(count skipped "$xml")
    p=${p:-0}; f=${f:-0}; e=${e:-0}; s=${s:-0}
    f=$((f + e))
  fi
  if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && { [ ! -s "$xml" ] || [ "$((p + s))" -gt 0 ]; }; then
    # Aborted, killed or out of time: what it did not report counts as one failure.
    f=1
    case "$rc" in
      124|137) say "$name did not end within ${TEST_TIMEOUT:-780} s, or was killed." ;;
      *) say "$name ended with code $rc without a result." ;;
    esac
    tail -n 40 "$log"
  elif [ "$f" -gt 0 ]; then
    cat "$log"
  fi
  if [ "$s" -gt 0 ]; then
    say "Left out:"
    grep -o '<reason>[^<]*' "$xml" | sed 's/^<reason>//' | unescape | sort | uniq -c | sed 's/^ */  /; s/^\(  [0-9]*\) /\1 x /'
  fi
  say "$name: $p passed, $f failed, $s skipped"
  passed=$((passed + p)); failed=$((failed + f)); skipped=$((skipped + s))
}

headline "Testing"
# The engine's tests and the component tests share no files or ports, so the two cores work on both at once. The server's
# and the browser's tests watch clocks (cancel within a second) and start processes of their own: they run alone.
run_project Analysis.Tests & running+=($!)
run_project Dashboard.Client.Tests & running+=($!)
wait
running=()
report Dashboard.Client.Tests
report Analysis.Tests
for name in Dashboard.Server.Tests Dashboard.EndToEnd; do
  run_project "$name" & running=($!)
  wait
  running=()
  report "$name"
done

[ -d "$ATLAS_DATA" ] || say $'\n'"Tests on real data were left out: there is no folder $ATLAS_DATA (ATLAS_DATA names another)."
if [ "$((passed + failed))" -eq 0 ]; then
  if [ "$skipped" -gt 0 ]; then say $'\n'"No test ran: all that were chosen were left out."
  else say $'\n'"No test ran${filter:+: nothing matches \"$filter\"}."; fi
fi
summary="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || summary="$summary, $skipped skipped"
printf '\n%s\n' "$summary"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
