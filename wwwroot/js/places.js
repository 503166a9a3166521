// Going back, or loading again, leads to where the page was left, although it fills in only after its address has changed.
const STORE = 'places', MOST = 100, PATIENCE = 4000;
let places = {};
try { places = JSON.parse(sessionStorage.getItem(STORE)) ?? {}; } catch { /* none are kept */ }
let restoring = false;
// An entry of the history keeps its key while its address is replaced.
const entry = () => window.navigation?.currentEntry?.key ?? location.href;

function keep() {
  if (restoring) return;
  const key = entry();
  delete places[key];
  if (scrollY > 0) places[key] = Math.round(scrollY);
  for (const old of Object.keys(places).slice(0, -MOST)) delete places[old];
}

function restore() {
  const to = places[entry()];
  if (!to) return;
  const until = performance.now() + PATIENCE;
  let there = 0;
  restoring = true;
  const stop = new AbortController();
  const done = () => { restoring = false; stop.abort(); };
  // Whoever moves decides.
  for (const name of ['wheel', 'touchstart', 'keydown', 'pointerdown', 'popstate']) addEventListener(name, done, { signal: stop.signal, passive: true });
  const step = () => {
    if (stop.signal.aborted) return;
    if (document.documentElement.scrollHeight - innerHeight >= to && Math.abs(scrollY - to) > 1) { scrollTo(0, to); there = 0; }
    if (Math.abs(scrollY - to) <= 1) there++;
    // The heading takes the focus, and the scroll position with it, when the page is drawn: stay for a while.
    if (there > 40 || performance.now() > until) done(); else requestAnimationFrame(step);
  };
  step();
}

history.scrollRestoration = 'manual';
addEventListener('scroll', keep, { passive: true });
addEventListener('pagehide', () => { try { sessionStorage.setItem(STORE, JSON.stringify(places)); } catch { /* full or forbidden */ } });
addEventListener('popstate', () => setTimeout(restore));
restore();
