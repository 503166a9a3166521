export function draw(area, target) {
  let from = null, box = null;
  const at = e => {
    const r = area.getBoundingClientRect();
    return [Math.min(1, Math.max(0, (e.clientX - r.left) / r.width)), Math.min(1, Math.max(0, (e.clientY - r.top) / r.height))];
  };
  const shape = ([x, y]) => [Math.min(x, from[0]), Math.min(y, from[1]), Math.abs(x - from[0]), Math.abs(y - from[1])];
  const down = e => {
    if (e.button !== 0) return;
    e.preventDefault();
    from = at(e);
    area.setPointerCapture(e.pointerId);
    box = document.createElement('span');
    box.className = 'drawing';
    area.append(box);
  };
  const move = e => {
    if (!from) return;
    const [l, t, w, h] = shape(at(e));
    Object.assign(box.style, { left: l * 100 + '%', top: t * 100 + '%', width: w * 100 + '%', height: h * 100 + '%' });
  };
  const up = e => {
    if (!from) return;
    const [l, t, w, h] = shape(at(e));
    box.remove();
    from = box = null;
    // A click is no box.
    if (w > 0.01 && h > 0.01) target.invokeMethodAsync('Drawn', l, t, w, h).catch(() => { });
  };
  const cancel = () => { box?.remove(); from = box = null; };
  area.addEventListener('pointerdown', down);
  area.addEventListener('pointermove', move);
  area.addEventListener('pointerup', up);
  area.addEventListener('pointercancel', cancel);
  return {
    dispose: () => {
      area.removeEventListener('pointerdown', down);
      area.removeEventListener('pointermove', move);
      area.removeEventListener('pointerup', up);
      area.removeEventListener('pointercancel', cancel);
    }
  };
}
