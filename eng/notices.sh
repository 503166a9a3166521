#!/usr/bin/env bash
# Writes THIRD-PARTY-NOTICES.md from the packages that the published site contains: run it after the packages changed.
#   eng/notices.sh            writes the file
#   eng/notices.sh --check    fails where the file is out of date
set -eu
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
packages=${NUGET_PACKAGES:-$HOME/.nuget/packages}
assets=artifacts/cpu/obj/Dashboard.Server/project.assets.json
[ -f "$assets" ] || { echo "Restore first: dotnet restore src/Dashboard.Server" >&2; exit 1; }

field() { # name, nuspec
  tr '\n' ' ' <"$2" | sed -n 's/.*<'"$1"'\( [^>]*\)\{0,1\}>\([^<]*\)<\/'"$1"'>.*/\2/p' | sed 's/&amp;/\&/g; s/  */ /g; s/^ //; s/ $//'
}

licence() { # folder, nuspec
  local type name
  type=$(tr '\n' ' ' <"$2" | sed -n 's/.*<license type="\([a-z]*\)".*/\1/p')
  name=$(field license "$2")
  if [ "$type" = expression ]; then
    echo "$name"
  elif [ "$type" = file ]; then
    if grep -qi "MIT License\|Permission is hereby granted, free of charge" "$1/$name" 2>/dev/null; then echo "MIT"
    elif grep -qi "Apache License" "$1/$name" 2>/dev/null; then echo "Apache-2.0"
    else echo "see the package ($name)"; fi
  else
    field licenseUrl "$2"
  fi
}

table() {
  # Build-time packages (analysers, design tools) are not in what is published; the others have run-time assets.
  sed -n '/^  "libraries": {/,/^  },/p' "$assets" | sed -n 's/^    "\([^"]*\/[^"]*\)": {$/\1/p' | sort -f | while IFS=/ read -r id version; do
    folder="$packages/$(echo "$id" | tr '[:upper:]' '[:lower:]')/$version"
    nuspec=$(find "$folder" -maxdepth 1 -name '*.nuspec' 2>/dev/null | head -1)
    [ -n "$nuspec" ] || continue
    case "$id" in
      Microsoft.CodeAnalysis.*|Microsoft.EntityFrameworkCore.Design|Microsoft.Build.Framework|Microsoft.VisualStudio.*|Mono.TextTemplating|System.CodeDom|System.Composition*|Humanizer.Core|Newtonsoft.Json|*.Analyzers) continue ;;
    esac
    copyright=$(field copyright "$nuspec")
    [ -n "$copyright" ] || copyright=$(field authors "$nuspec")
    printf '| %s | %s | %s | %s |\n' "$id" "$version" "$(licence "$folder" "$nuspec")" "$(echo "$copyright" | sed 's/|/\//g')"
  done
}

write() {
  cat <<'TEXT'
# Licences of third parties

Concept Atlas is under the MIT licence. What it uses comes as packages under the licences below; nothing of them is copied into
this repository. Written by `eng/notices.sh` from the restored packages (CPU build, Linux).

## libvips (LGPL-3.0-or-later)

Images are decoded by libvips. The package NetVips.Native brings it as one shared library, `libvips.so.42`, which contains
libvips and the libraries it needs (among them libjpeg-turbo/mozjpeg, libpng, libwebp, libtiff, zlib, glib, lcms2); its own
`THIRD-PARTY-NOTICES.md` lists their licences and `versions.json` their versions. It is linked dynamically, unchanged, and
loaded at run time, so it can be replaced: put another build of libvips 8.18 with the same file name beside the program. Its
source code is at https://github.com/libvips/libvips and the build at https://github.com/kleisauke/libvips-packaging.

## libtorch (BSD-3-Clause)

Tensors are computed by libtorch of the PyTorch contributors, under the BSD 3-clause licence, with parts under other permissive
licences; the whole text is in the file `LICENSE-LIBTORCH.txt` of the package. It is linked dynamically. The bridge to it,
`libLibTorchSharp.so` (MIT), is changed in one byte when the program is built (docs/adr/0002-torchsharp-on-debian-12.md). The CUDA
build brings NVIDIA's CUDA and cuDNN libraries under NVIDIA's own terms.

## SQLite

The catalogue is SQLite, which is in the public domain; the package that brings it is under Apache-2.0.

## Fonts and icons

No font is shipped: pages use the fonts of the system. Icons are those of MudBlazor (Material Design icons, Apache-2.0) or our own.

## Packages

| package | version | licence | copyright or authors |
|---|---|---|---|
TEXT
  table
}

if [ "${1:-}" = --check ]; then
  write | diff -u THIRD-PARTY-NOTICES.md - || { echo "THIRD-PARTY-NOTICES.md is out of date: run eng/notices.sh" >&2; exit 1; }
else
  write > THIRD-PARTY-NOTICES.md.partial
  mv THIRD-PARTY-NOTICES.md.partial THIRD-PARTY-NOTICES.md
fi
