// Runs before the first paint: the stored choice, or the system's.
(() => {
  const media = matchMedia('(prefers-color-scheme: dark)');
  const stored = () => { try { return localStorage.getItem('theme') || 'system'; } catch { return 'system'; } };
  const dark = choice => choice === 'dark' || (choice === 'system' && media.matches);
  const apply = () => {
    const choice = stored();
    const root = document.documentElement;
    root.dataset.theme = dark(choice) ? 'dark' : 'light';
    root.dataset.themeChoice = choice;
    dispatchEvent(new CustomEvent('atlas-theme', { detail: { choice, dark: dark(choice) } }));
  };
  apply();
  media.addEventListener('change', apply);
  addEventListener('storage', e => { if (e.key === 'theme') apply(); });

  const listeners = new Map();
  let next = 1;
  window.atlasTheme = {
    get: () => ({ choice: stored(), dark: dark(stored()) }),
    set: choice => { try { localStorage.setItem('theme', choice); } catch { /* private mode: for this page only */ } apply(); },
    listen: target => {
      const handler = e => target.invokeMethodAsync('OnThemeChanged', e.detail.choice, e.detail.dark).catch(() => { });
      addEventListener('atlas-theme', handler);
      listeners.set(next, handler);
      // From here on the page answers: tests wait for it, and styles may.
      document.documentElement.dataset.live = '';
      dress();
      return next++;
    },
    unlisten: id => { removeEventListener('atlas-theme', listeners.get(id)); listeners.delete(id); },
  };

  // Before the page answers: the skip link works, and Ctrl+K is remembered until the palette is there (CommandPalette.razor.js).
  document.addEventListener('click', e => {
    if (!(e.target instanceof Element) || !e.target.closest('.skip-link')) return;
    e.preventDefault();
    e.stopPropagation();
    document.getElementById('content')?.focus();
  }, true);
  document.addEventListener('keydown', e => {
    const root = document.documentElement;
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k' && !('keys' in root.dataset)) { e.preventDefault(); root.dataset.wanted = ''; }
  });

  // Style sheets that nothing on the first screen needs: reading and applying them waits until the page answers.
  const dress = () => {
    const put = () => document.querySelectorAll('link[data-later]').forEach(sheet => { sheet.rel = 'stylesheet'; });
    if (window.requestIdleCallback) requestIdleCallback(put, { timeout: 500 }); else put();
  };

  // Sliders that only change how things look stay in the browser: <input type="range" data-css-var="--name">.
  const restore = name => { try { return localStorage.getItem('var' + name); } catch { return null; } };
  for (const name of ['--map-opacity']) {
    const value = restore(name);
    if (value) document.documentElement.style.setProperty(name, value);
  }
  document.addEventListener('input', e => {
    const name = e.target.dataset?.cssVar;
    if (!name) return;
    const value = String(Number(e.target.value) / 100);
    document.documentElement.style.setProperty(name, value);
    try { localStorage.setItem('var' + name, value); } catch { /* nothing to keep */ }
  });
})();
