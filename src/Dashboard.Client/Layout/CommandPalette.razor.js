// Keys that work on every page, and the two dialogs that they open.
import { move, roves } from '../Components/Keyboard.razor.js';

// What the arrow keys walk through: pictures of a wall, tiles of the atlas.
const walls = [['.wall', 'a.pic, button.pic'], ['.crops', 'a.pic'], ['.class-rows', 'a.cover']];
const typing = t => t instanceof HTMLElement && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName));

export function attach(palette, help) {
  const input = palette.querySelector('input');
  const list = palette.querySelector('[role=listbox]');
  let at = 0;
  let waiting = false;
  const options = () => [...list.querySelectorAll('[role=option]')];
  const mark = () => {
    const all = options();
    at = Math.max(0, Math.min(at, all.length - 1));
    all.forEach((o, i) => o.setAttribute('aria-selected', i === at ? 'true' : 'false'));
    if (all[at]) input.setAttribute('aria-activedescendant', all[at].id); else input.removeAttribute('aria-activedescendant');
    all[at]?.scrollIntoView({ block: 'nearest' });
  };
  const answered = () => list.dataset.for === input.value;
  const open = dialog => {
    if (document.querySelector('dialog[open]')) return;
    dialog.showModal();
    if (dialog !== palette) return;
    input.value = '';
    at = 0;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    input.focus();
  };
  const choose = option => { if (option) { waiting = false; palette.close(); option.click(); } };
  const watcher = new MutationObserver(() => {
    mark();
    if (waiting && answered()) choose(options()[at]);
  });
  watcher.observe(list, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-for'] });

  const field = e => {
    if (e.isComposing) return;
    const all = options();
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') at = (at + (e.key === 'ArrowDown' ? 1 : all.length - 1)) % Math.max(1, all.length);
    else if (e.key === 'PageDown') at += 8;
    else if (e.key === 'PageUp') at -= 8;
    else if (e.key === 'Enter') { if (answered()) choose(all[at]); else waiting = true; }
    else return;
    e.preventDefault();
    mark();
  };
  input.addEventListener('keydown', field);
  input.addEventListener('input', () => { at = 0; waiting = false; });

  const keys = e => {
    if (e.isComposing) return;
    if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && e.key.toLowerCase() === 'k') {
      e.preventDefault();
      if (palette.open) palette.close(); else open(palette);
      return;
    }
    if (e.ctrlKey || e.altKey || e.metaKey || typing(e.target) || document.querySelector('dialog[open], .mud-dialog')) return;
    if (e.key === '?') { e.preventDefault(); open(help); return; }
    if (e.key === '/') {
      e.preventDefault();
      const search = document.querySelector('main input[type=search]');
      if (search) search.focus(); else open(palette);
      return;
    }
    if (!/^(Arrow|Home$|End$)/.test(e.key) || !(e.target instanceof Element) || roves(e.target)) return;
    for (const [wall, item] of walls) {
      const here = e.target.closest(wall);
      if (here && e.target.matches(item) && move([...here.querySelectorAll(item)], e.key)) e.preventDefault();
    }
  };
  // Before the keys of the page: arrows inside a wall do not turn the page over.
  document.addEventListener('keydown', keys, true);

  const clicks = e => {
    const button = e.target instanceof Element ? e.target.closest('[data-palette]') : null;
    if (button?.dataset.palette === 'open') open(palette);
    else if (button) button.closest('dialog')?.close();
    else if (e.target === palette || e.target === help) e.target.close();
    else if (e.target instanceof Element && palette.contains(e.target) && e.target.closest('[role=option]') && palette.open) palette.close();
  };
  document.addEventListener('click', clicks);
  const root = document.documentElement;
  root.dataset.keys = '';
  if ('wanted' in root.dataset) { delete root.dataset.wanted; open(palette); }
  return {
    help: () => open(help),
    copy: () => navigator.clipboard?.writeText(location.href).catch(() => { }),
    dispose: () => {
      watcher.disconnect();
      document.removeEventListener('keydown', keys, true);
      document.removeEventListener('click', clicks);
    },
  };
}
