export function observe(page, target) {
  let last = 0;
  const watcher = new ResizeObserver(() => {
    const columns = Math.max(1, Math.floor((page.clientWidth - 36) / 292));
    if (columns !== last) { last = columns; target.invokeMethodAsync('Columns', columns).catch(() => { }); }
  });
  watcher.observe(page);
  return { dispose: () => watcher.disconnect() };
}
