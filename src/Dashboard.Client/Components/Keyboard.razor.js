const roving = new Set();

// Whether a page moves the focus from this element itself.
export const roves = element => [...roving].some(selector => element.matches(selector));

export function listen(target, keys, selector) {
  const wanted = new Set(keys);
  if (selector) roving.add(selector);
  const handler = e => {
    if (e.defaultPrevented || e.ctrlKey || e.altKey || e.metaKey || e.isComposing) return;
    const t = e.target;
    if (t instanceof HTMLElement && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) || t.closest('.mud-dialog, dialog, [data-own-keys]'))) return;
    if (selector && e.key.startsWith('Arrow')) {
      if (move([...document.querySelectorAll(selector)], e.key)) e.preventDefault();
      return;
    }
    if (!wanted.has(e.key)) return;
    e.preventDefault();
    target.invokeMethodAsync('Pressed', e.key).catch(() => { });
  };
  document.addEventListener('keydown', handler);
  return { dispose: () => { roving.delete(selector); document.removeEventListener('keydown', handler); } };
}

export function focus(selector) {
  const element = document.querySelector(selector);
  element?.focus();
  element?.scrollIntoView({ block: 'nearest' });
}

// The next element in reading order to the left and right; above and below, the one nearest in place.
export function move(all, key) {
  if (all.length === 0) return false;
  const at = all.indexOf(document.activeElement) >= 0 ? all.indexOf(document.activeElement) : all.findIndex(e => e.getAttribute('aria-current') === 'true');
  if (at < 0) { all[0].focus(); return true; }
  let next = null;
  if (key === 'Home') next = all[0];
  else if (key === 'End') next = all[all.length - 1];
  else if (key === 'ArrowLeft') next = all[at - 1];
  else if (key === 'ArrowRight') next = all[at + 1];
  else {
    const down = key === 'ArrowDown';
    const from = all[at].getBoundingClientRect();
    const middle = from.left + from.width / 2;
    let row = null;
    for (const e of down ? all.slice(at + 1) : all.slice(0, at).reverse()) {
      const r = e.getBoundingClientRect();
      if (down ? r.top < from.bottom - 2 : r.bottom > from.top + 2) continue;
      row ??= r.top;
      if (Math.abs(r.top - row) > 4) break;
      const d = Math.abs(r.left + r.width / 2 - middle);
      if (!next || d < next.d) next = { d, e };
    }
    next = next?.e;
  }
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
  return true;
}
