// Shared concepts between classes: one binary in (docs/file-formats.md), a matrix on a canvas.
export function create(root, target, url, names, first, second) {
  const matrix = new Matrix(root, target, names);
  matrix.load(url).then(() => matrix.mark(first, second));
  return { mark: (a, b) => matrix.mark(a, b), dispose: () => matrix.dispose() };
}

// Little-endian: "CASM", version, n, m; n int32 class indices in order; m pairs of int32 (row × n + column, count).
export function parse(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 16 || view.getUint32(0, false) !== 0x4341534d || view.getUint32(4, true) !== 1) throw new Error('not a matrix');
  const n = view.getUint32(8, true), m = view.getUint32(12, true);
  if (n > 20_000 || buffer.byteLength < 16 + 4 * n + 8 * m) throw new Error('cut short');
  return { n, order: new Int32Array(buffer, 16, n), pairs: new Int32Array(buffer, 16 + 4 * n, 2 * m) };
}

class Matrix {
  constructor(root, target, names) {
    this.root = root;
    this.target = target;
    this.names = names;
    this.canvas = document.createElement('canvas');
    this.tip = document.createElement('div');
    this.tip.className = 'cell-tip';
    this.live = document.createElement('div');
    this.live.className = 'visually-hidden';
    this.live.setAttribute('aria-live', 'polite');
    root.append(this.canvas, this.tip, this.live);
    this.view = { x: 0, y: 0, zoom: 1 };
    this.cell = null;
    this.marked = null;
    this.stop = new AbortController();
    const on = (name, handler, extra) => root.addEventListener(name, handler, { signal: this.stop.signal, ...extra });
    on('pointermove', e => this.move(e));
    on('pointerdown', e => { this.held = { x: e.clientX, y: e.clientY, moved: false }; root.setPointerCapture?.(e.pointerId); });
    on('pointerup', e => this.up(e));
    on('pointerleave', () => { this.cell = null; this.hide(); });
    on('wheel', e => this.wheel(e), { passive: false });
    on('keydown', e => this.key(e));
    on('blur', () => this.hide());
    addEventListener('atlas-theme', () => { this.paint(); this.redraw(); }, { signal: this.stop.signal });
    this.watcher = new ResizeObserver(() => this.redraw());
    this.watcher.observe(root);
  }

  dispose() { this.stop.abort(); this.watcher.disconnect(); cancelAnimationFrame(this.frame); this.root.replaceChildren(); }

  async load(url) {
    try {
      const answer = await fetch(url, { signal: this.stop.signal });
      if (!answer.ok) throw new Error();
      this.data = parse(await answer.arrayBuffer());
      this.place = new Map([...this.data.order].map((index, at) => [index, at]));
      this.counts = new Map();
      for (let i = 0; i < this.data.pairs.length; i += 2) this.counts.set(this.data.pairs[i], this.data.pairs[i + 1]);
      this.paint();
      this.redraw();
      this.root.dataset.classes = String(this.data.n);
    } catch (fault) {
      if (!this.stop.signal.aborted) this.live.parentElement?.replaceChildren('The matrix could not be read.');
    }
  }

  // One pixel a pair, drawn once; the view only scales it.
  paint() {
    if (!this.data?.n) return;
    const { n, pairs } = this.data, dark = document.documentElement.dataset.theme === 'dark';
    this.picture = new OffscreenCanvas(n, n);
    const brush = this.picture.getContext('2d'), image = brush.createImageData(n, n), p = image.data;
    let most = 1;
    for (let i = 1; i < pairs.length; i += 2) most = Math.max(most, pairs[i]);
    this.most = most;
    const rgb = dark ? [86, 180, 233] : [10, 84, 140];
    const put = (row, column, share) => { const k = 4 * (row * n + column); p[k] = rgb[0]; p[k + 1] = rgb[1]; p[k + 2] = rgb[2]; p[k + 3] = Math.round(255 * share); };
    for (let i = 0; i < pairs.length; i += 2) {
      const row = Math.floor(pairs[i] / n), column = pairs[i] % n, share = .18 + .82 * Math.sqrt(pairs[i + 1] / most);
      put(row, column, share);
      put(column, row, share);
    }
    for (let i = 0; i < n; i++) put(i, i, .08);
    brush.putImageData(image, 0, 0);
  }

  redraw() { if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); }); }

  get scale() { return Math.min(this.w, this.h) / this.data.n * this.view.zoom; }

  draw() {
    this.w = this.root.clientWidth;
    this.h = this.root.clientHeight;
    if (!this.picture || !this.w) return;
    const ratio = Math.min(devicePixelRatio || 1, 2), n = this.data.n, s = this.scale;
    if (this.canvas.width !== Math.round(this.w * ratio) || this.canvas.height !== Math.round(this.h * ratio)) { this.canvas.width = Math.round(this.w * ratio); this.canvas.height = Math.round(this.h * ratio); }
    const b = this.canvas.getContext('2d');
    b.setTransform(ratio, 0, 0, ratio, 0, 0);
    b.clearRect(0, 0, this.w, this.h);
    b.imageSmoothingEnabled = s < 1;
    b.drawImage(this.picture, this.left(0), this.top(0), n * s, n * s);
    const style = getComputedStyle(this.root), ring = (at, colour, wide) => { b.strokeStyle = colour; b.lineWidth = wide; b.strokeRect(this.left(at.column) - 1, this.top(at.row) - 1, Math.max(s, 3) + 2, Math.max(s, 3) + 2); };
    if (this.marked) ring(this.marked, style.getPropertyValue('--accent').trim(), 2);
    if (this.cell) {
      b.fillStyle = 'rgba(128,128,128,.18)';
      b.fillRect(0, this.top(this.cell.row), this.w, Math.max(1, s));
      b.fillRect(this.left(this.cell.column), 0, Math.max(1, s), this.h);
      ring(this.cell, style.getPropertyValue('--ink').trim(), 1.5);
    }
  }

  left(column) { return (this.w - Math.min(this.w, this.h)) / 2 + (column - this.view.x) * this.scale; }
  top(row) { return (row - this.view.y) * this.scale; }

  at(e) {
    if (!this.data) return null;
    const r = this.root.getBoundingClientRect(), column = Math.floor((e.clientX - r.left - this.left(0)) / this.scale), row = Math.floor((e.clientY - r.top - this.top(0)) / this.scale);
    return row >= 0 && column >= 0 && row < this.data.n && column < this.data.n ? { row, column } : null;
  }

  count(cell) { return this.counts.get(Math.min(cell.row, cell.column) * this.data.n + Math.max(cell.row, cell.column)) ?? 0; }

  describe(cell) {
    const name = at => this.names[this.data.order[at]] ?? '';
    if (cell.row === cell.column) return name(cell.row);
    const k = this.count(cell);
    return `${name(cell.row)} and ${name(cell.column)}: ${k === 0 ? 'no shared concept' : k === 1 ? '1 shared concept' : k + ' shared concepts'}`;
  }

  show(cell) {
    this.cell = cell;
    if (!cell) { this.hide(); return; }
    this.tip.textContent = this.describe(cell);
    this.tip.style.display = 'block';
    const x = this.left(cell.column) + this.scale, y = this.top(cell.row), wide = this.tip.offsetWidth, tall = this.tip.offsetHeight;
    this.tip.style.transform = `translate(${Math.max(2, x + 12 + wide > this.w ? x - wide - 18 : x + 12)}px, ${Math.max(2, Math.min(y, this.h - tall - 2))}px)`;
    this.redraw();
  }

  hide() { this.tip.style.display = 'none'; this.redraw(); }

  move(e) {
    if (this.held && this.data) {
      const dx = e.clientX - this.held.x, dy = e.clientY - this.held.y;
      if (this.held.moved || Math.hypot(dx, dy) > 4) {
        this.held.moved = true;
        this.look(this.view.x - dx / this.scale, this.view.y - dy / this.scale);
        this.held.x = e.clientX;
        this.held.y = e.clientY;
        return;
      }
    }
    this.show(this.at(e));
  }

  up(e) {
    const held = this.held;
    this.held = null;
    const cell = this.at(e);
    if (held && !held.moved && cell) this.choose(cell);
  }

  choose(cell) {
    const off = cell.row === cell.column || (this.marked && this.marked.row === cell.row && this.marked.column === cell.column);
    this.target.invokeMethodAsync('Choose', off ? -1 : this.data.order[cell.row], off ? -1 : this.data.order[cell.column]).catch(() => { });
  }

  mark(first, second) {
    const row = this.place?.get(first), column = this.place?.get(second);
    this.marked = row === undefined || column === undefined ? null : { row, column };
    this.redraw();
  }

  look(x, y) {
    const most = this.data.n * (1 - 1 / this.view.zoom);
    this.view.x = Math.max(0, Math.min(most, x));
    this.view.y = Math.max(0, Math.min(this.data.n - this.h / this.scale, y, Math.max(0, this.data.n - this.h / this.scale)));
    this.redraw();
  }

  wheel(e) {
    if (!this.data) return;
    e.preventDefault();
    const r = this.root.getBoundingClientRect(), px = e.clientX - r.left - (this.w - Math.min(this.w, this.h)) / 2, py = e.clientY - r.top;
    const x = this.view.x + px / this.scale, y = this.view.y + py / this.scale;
    this.view.zoom = Math.max(1, Math.min(Math.max(1, this.data.n / 6), this.view.zoom * Math.exp(-e.deltaY * (e.deltaMode === 1 ? .05 : .0018))));
    this.look(x - px / this.scale, y - py / this.scale);
    this.show(this.at(e));
  }

  key(e) {
    if (!this.data?.n || e.ctrlKey || e.altKey || e.metaKey) return;
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
    const within = v => Math.max(0, Math.min(this.data.n - 1, v));
    if (step) {
      const from = this.cell ?? this.marked ?? { row: 0, column: -1 };
      this.show({ row: within(from.row + step[0]), column: within(from.column + step[1]) });
      this.live.textContent = this.describe(this.cell);
    } else if (e.key === 'Enter' && this.cell) this.choose(this.cell);
    else if (e.key === 'Escape' && this.marked) this.choose(this.marked);
    else return;
    e.preventDefault();
  }
}
