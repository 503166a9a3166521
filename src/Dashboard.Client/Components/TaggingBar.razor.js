const name = 'concept-atlas-tags';

export function listen(target) {
  const handler = e => {
    if (e.key !== 'p' && e.key !== 'n') return;
    if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing) return;
    const t = e.target;
    if (t instanceof HTMLElement && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) || t.closest('.mud-dialog, [data-own-keys]'))) return;
    const picture = document.activeElement?.closest('[data-sample]') ?? document.querySelector('[data-tag-default]');
    if (!picture) return;
    e.preventDefault();
    target.invokeMethodAsync('Tagged', Number(picture.dataset.sample ?? picture.dataset.tagDefault), e.key).catch(() => { });
  };
  document.addEventListener('keydown', handler);
  return { dispose: () => document.removeEventListener('keydown', handler) };
}

// A private window may refuse to keep anything.
export function keep(text) {
  try { sessionStorage.setItem(name, text); } catch { }
}

export function kept() {
  try { return sessionStorage.getItem(name); } catch { return null; }
}
