// Strategic cluster graph, and the map of all concepts: one binary of columns in, points on WebGL2 (canvas 2D where there is none).
const VERTEX = `#version 300 es
in vec2 position; in vec4 colour; in float size;
uniform vec2 scale; uniform vec2 offset; uniform float ratio;
out vec4 tint;
void main() { gl_Position = vec4(position * scale + offset, 0., 1.); gl_PointSize = size * ratio; tint = colour; }`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint; out vec4 result;
void main() {
  float d = length(gl_PointCoord - .5) * 2.;
  float a = tint.a * (1. - smoothstep(.8, 1., d));
  result = vec4(tint.rgb * a, a);
}`;
const PICTURES_BELOW = 160;
const PICTURE = 46;

export function create(root, target, options) {
  const plot = new Plot(root, target);
  plot.update(options);
  return {
    update: o => plot.update(o),
    clear: () => plot.select(null, false),
    reload: () => plot.load(true),
    dispose: () => plot.dispose(),
  };
}

// Little-endian: "CAPC", version, count, 0; x, y (float32); sample (int32); strategy, concept (int16); flags (uint8); pad; score (float32).
export function parse(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 16 || view.getUint32(0, false) !== 0x43415043 || view.getUint32(4, true) !== 1) throw new Error('not a point cloud');
  const n = view.getUint32(8, true);
  if (n > 20_000_000 || buffer.byteLength < 16 + 21 * n) throw new Error('cut short');
  let at = 16;
  const take = (type, size) => { const a = new type(buffer, at, n); at += n * size; return a; };
  const points = { n, x: take(Float32Array, 4), y: take(Float32Array, 4), sample: take(Int32Array, 4), strategy: take(Int16Array, 2), concept: take(Int16Array, 2), flags: take(Uint8Array, 1) };
  at = (at + 3) & ~3;
  points.score = at + 4 * n <= buffer.byteLength ? take(Float32Array, 4) : new Float32Array(n).fill(NaN);
  return points;
}

class Plot {
  constructor(root, target) {
    this.root = root;
    this.target = target;
    this.surface = document.createElement('canvas');
    this.overlay = document.createElement('canvas');
    this.tip = document.createElement('div');
    this.tip.className = 'cloud-tip';
    this.picture = document.createElement('img');
    this.picture.alt = '';
    this.words = document.createElement('p');
    this.tip.append(this.picture, this.words);
    this.live = document.createElement('div');
    this.live.className = 'visually-hidden';
    this.live.setAttribute('aria-live', 'polite');
    this.wait = document.createElement('div');
    this.wait.className = 'cloud-wait';
    this.note = document.createElement('div');
    this.note.className = 'cloud-note';
    this.note.hidden = true;
    root.append(this.surface, this.overlay, this.tip, this.live, this.wait, this.note);
    this.brush = this.overlay.getContext('2d');
    this.gl = this.surface.getContext('webgl2', { antialias: false, premultipliedAlpha: true, powerPreference: 'low-power' });
    root.dataset.renderer = this.gl ? 'webgl2' : 'canvas';
    this.points = null;
    this.view = { x: 0, y: 0, zoom: 1 };
    this.fitZoom = 1;
    this.images = new Map();
    this.details = new Map();
    this.pointers = new Map();
    this.hover = -1;
    this.focus = -1;
    this.picked = null;
    this.path = null;
    this.told = [];
    this.frame = 0;
    this.generation = 0;
    if (this.gl) this.prepare();

    this.stop = new AbortController();
    const on = (name, handler, extra) => root.addEventListener(name, handler, { signal: this.stop.signal, ...extra });
    on('pointerdown', e => this.down(e));
    on('pointermove', e => this.move(e));
    on('pointerup', e => this.up(e));
    on('pointercancel', e => { this.pointers.delete(e.pointerId); this.path = null; });
    on('pointerleave', () => this.setHover(-1));
    on('wheel', e => this.wheel(e), { passive: false });
    on('dblclick', () => this.fit());
    on('keydown', e => this.key(e));
    on('blur', () => { this.focus = -1; this.hideTip(); this.redraw(); });
    // The buttons above the plot work here: where the server answers late, what is drawn next must be a lasso all the same.
    const button = (name, press) => root.parentElement.querySelector(`[data-plot=${name}]`)?.addEventListener('click', press, { signal: this.stop.signal });
    button('lasso', e => { this.setLasso(!this.lassoOn); e.currentTarget.setAttribute('aria-pressed', String(this.lassoOn)); });
    button('reset', () => this.fit());
    addEventListener('atlas-theme', () => { this.paint(); this.redraw(); }, { signal: this.stop.signal });
    this.surface.addEventListener('webglcontextlost', e => e.preventDefault(), { signal: this.stop.signal });
    this.surface.addEventListener('webglcontextrestored', () => { this.prepare(); this.upload(); this.paint(); this.redraw(); }, { signal: this.stop.signal });
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(root);
  }

  dispose() {
    this.generation++;
    this.stop.abort();
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
    this.gl?.getExtension('WEBGL_lose_context')?.loseContext();
    this.root.replaceChildren();
  }

  update(options) {
    const moved = this.options?.url !== options.url;
    this.options = options;
    if (moved) { this.load(); return; }
    // Back and forward in the browser's history: the address names another lasso than the one that is drawn. Not so where it is
    // the answer to one that was drawn here: it may come when the next is drawn already.
    const lasso = options.lasso ?? null, answered = this.told.indexOf(lasso);
    this.told.splice(0, answered < 0 ? this.told.length : answered + 1);
    if (this.points?.n && answered < 0 && lasso !== this.outlined) { this.select(lasso && this.inside(lasso), true, lasso); this.told = []; return; }
    this.paint();
    this.redraw();
  }

  async load() {
    const mine = ++this.generation;
    this.points = null;
    this.picked = this.outlined = this.gathered = null;
    this.told = [];
    this.note.hidden = true;
    this.hover = this.focus = -1;
    this.hideTip();
    this.images.clear();
    this.details.clear();
    this.wait.textContent = 'Loading points…';
    this.wait.style.display = '';
    delete this.root.dataset.count;
    this.redraw();
    try {
      const response = await fetch(this.options.url, { priority: 'high' });
      if (!response.ok) throw new Error(response.status === 404 ? 'The points are not ready yet.' : 'The points could not be read.');
      const points = parse(await response.arrayBuffer());
      if (mine !== this.generation) return;
      this.points = points;
      this.wait.style.display = points.n ? 'none' : '';
      this.wait.textContent = points.n ? '' : 'Nothing could be placed.';
      this.index();
      this.upload();
      this.paint();
      this.fit();
      this.root.dataset.count = String(points.n);
      if (this.options.lasso && points.n) { this.select(this.inside(this.options.lasso), true, this.options.lasso); this.told = []; }
      this.target.invokeMethodAsync('Failed', null).catch(() => { });
    } catch (error) {
      if (mine !== this.generation) return;
      this.wait.style.display = 'none';
      const text = error instanceof TypeError || /point cloud|short/.test(error.message) ? 'The points could not be read.' : error.message;
      this.target.invokeMethodAsync('Failed', text).catch(() => { });
    }
  }

  // ---- geometry

  index() {
    const p = this.points;
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (let i = 0; i < p.n; i++) {
      if (!Number.isFinite(p.x[i]) || !Number.isFinite(p.y[i])) { p.x[i] = p.y[i] = 0; }
      if (p.x[i] < x0) x0 = p.x[i];
      if (p.x[i] > x1) x1 = p.x[i];
      if (p.y[i] < y0) y0 = p.y[i];
      if (p.y[i] > y1) y1 = p.y[i];
    }
    if (!p.n) x0 = y0 = 0, x1 = y1 = 1;
    const width = Math.max(x1 - x0, 1e-6), height = Math.max(y1 - y0, 1e-6);
    const side = Math.max(1, Math.min(256, Math.round(Math.sqrt(p.n / 3))));
    this.box = { x0, y0, width, height, side };
    // Counting sort into cells: the points near a place are found without looking at all.
    const cell = new Uint32Array(p.n), start = new Uint32Array(side * side + 1);
    for (let i = 0; i < p.n; i++) { cell[i] = this.cellOf(p.x[i], p.y[i]); start[cell[i] + 1]++; }
    for (let c = 0; c < side * side; c++) start[c + 1] += start[c];
    const order = new Uint32Array(p.n), next = start.slice();
    for (let i = 0; i < p.n; i++) order[next[cell[i]]++] = i;
    this.cells = { start, order };
    this.rowOf = new Map();
    for (const sample of this.options.anchors ?? []) { const i = p.sample.indexOf(sample); if (i >= 0) this.rowOf.set(sample, i); }
  }

  cellOf(x, y) {
    const b = this.box;
    const clamp = v => Math.max(0, Math.min(b.side - 1, v));
    return clamp(Math.floor((y - b.y0) / b.height * b.side)) * b.side + clamp(Math.floor((x - b.x0) / b.width * b.side));
  }

  *within(x0, y0, x1, y1) {
    const b = this.box, p = this.points;
    const c = v => Math.max(0, Math.min(b.side - 1, Math.floor(v * b.side)));
    const cx0 = c((x0 - b.x0) / b.width), cx1 = c((x1 - b.x0) / b.width), cy0 = c((y0 - b.y0) / b.height), cy1 = c((y1 - b.y0) / b.height);
    for (let cy = cy0; cy <= cy1; cy++)
      for (let k = this.cells.start[cy * b.side + cx0]; k < this.cells.start[cy * b.side + cx1 + 1]; k++) {
        const i = this.cells.order[k];
        if (p.x[i] >= x0 && p.x[i] <= x1 && p.y[i] >= y0 && p.y[i] <= y1) yield i;
      }
  }

  nearest(px, py, radius) {
    if (!this.points) return -1;
    const [x, y] = this.toData(px, py), r = radius / this.view.zoom;
    let best = -1, least = r * r;
    for (const i of this.within(x - r, y - r, x + r, y + r)) {
      const d = (this.points.x[i] - x) ** 2 + (this.points.y[i] - y) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }

  toScreen(i) { return [(this.points.x[i] - this.view.x) * this.view.zoom + this.w / 2, this.h / 2 - (this.points.y[i] - this.view.y) * this.view.zoom]; }
  toData(px, py) { return [(px - this.w / 2) / this.view.zoom + this.view.x, this.view.y - (py - this.h / 2) / this.view.zoom]; }

  fit() {
    if (!this.points || !this.w) return;
    const b = this.box;
    this.fitZoom = Math.min(Math.max(20, this.w - 60) / b.width, Math.max(20, this.h - 60) / b.height);
    this.view = { x: b.x0 + b.width / 2, y: b.y0 + b.height / 2, zoom: this.fitZoom };
    this.redraw();
  }

  resize() {
    const w = this.root.clientWidth, h = this.root.clientHeight;
    if (!w || !h) return;
    const first = !this.w;
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [this.surface, this.overlay]) { canvas.width = Math.round(w * this.ratio); canvas.height = Math.round(h * this.ratio); }
    // Nobody has moved the picture yet: it is fitted anew, since the first size may be that of a page still being laid out.
    const untouched = first || Math.abs(this.view.zoom / this.fitZoom - 1) < 1e-6;
    const factor = first ? 1 : Math.min(w / this.w, h / this.h);
    this.w = w;
    this.h = h;
    if (untouched) this.fit();
    else { this.view.zoom *= factor; this.fitZoom *= factor; }
    this.draw();
  }

  zoomAt(px, py, factor) {
    const zoom = Math.max(this.fitZoom * .4, Math.min(this.fitZoom * 400, this.view.zoom * factor));
    const [x, y] = this.toData(px, py);
    this.view.zoom = zoom;
    this.view.x = x - (px - this.w / 2) / zoom;
    this.view.y = y + (py - this.h / 2) / zoom;
    this.redraw();
  }

  // ---- colours

  prepare() {
    const gl = this.gl;
    const compile = (kind, source) => { const s = gl.createShader(kind); gl.shaderSource(s, source); gl.compileShader(s); return s; };
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compile(gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    this.uniforms = Object.fromEntries(['scale', 'offset', 'ratio'].map(n => [n, gl.getUniformLocation(program, n)]));
    this.attributes = Object.fromEntries(['position', 'colour', 'size'].map(n => [n, gl.getAttribLocation(program, n)]));
    this.buffers = { position: gl.createBuffer(), colour: gl.createBuffer(), size: gl.createBuffer(), order: gl.createBuffer() };
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  upload() {
    if (!this.gl || !this.points) return;
    const gl = this.gl, p = this.points, flat = new Float32Array(2 * p.n);
    // Centred on the box: float32 keeps its precision however far the layout lies from the origin.
    this.middle = { x: this.box.x0 + this.box.width / 2, y: this.box.y0 + this.box.height / 2 };
    for (let i = 0; i < p.n; i++) { flat[2 * i] = p.x[i] - this.middle.x; flat[2 * i + 1] = p.y[i] - this.middle.y; }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.position);
    gl.bufferData(gl.ARRAY_BUFFER, flat, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(this.attributes.position);
    gl.vertexAttribPointer(this.attributes.position, 2, gl.FLOAT, false, 0, 0);
  }

  colourOf(i) {
    const p = this.points, o = this.options;
    if (o.mode === 'strategy') return o.strategyColours[p.strategy[i]] ?? o.grey;
    if (o.mode === 'correct') return p.flags[i] & 1 ? (p.flags[i] & 2 ? '#0f7ac2' : '#d55e00') : o.grey;
    if (o.mode === 'outlier') return scale(p.score[i], o.grey);
    if (o.mode === 'group') return o.groupColours[p.flags[i]] ?? o.grey;
    if (o.mode === 'importance') return scale(Math.sqrt(Math.max(0, p.score[i]) / .5), o.grey);
    if (o.mode === 'shared') return p.concept[i] >= 0 ? o.groupColours[0] : o.grey;
    return o.conceptColours[this.conceptOf(i)] ?? o.grey;
  }

  // The strongest concept as lists have it: the one that stands for it, −1 where it was put away.
  conceptOf(i) { const c = this.points.concept[i]; return c < 0 ? -1 : this.options.standIns?.[c] ?? c; }

  paint() {
    if (!this.points || !this.options) return;
    const p = this.points, o = this.options, n = p.n;
    const base = n < 300 ? 9 : n < 3000 ? 7.5 : n < 15000 ? 5.5 : 4;
    this.colours = new Uint8Array(4 * n);
    this.sizes = new Float32Array(n);
    const rank = new Uint8Array(n), cache = new Map();
    for (let i = 0; i < n; i++) {
      const text = this.colourOf(i);
      let rgb = cache.get(text);
      if (!rgb) cache.set(text, rgb = hex(text));
      const out = (this.picked && !this.picked[i]) || (o.strategy != null && p.strategy[i] !== o.strategy) || (o.concept != null && p.concept[i] !== o.concept && this.conceptOf(i) !== o.concept) || (o.group != null && p.flags[i] !== o.group);
      const loud = (o.mode === 'correct' && (p.flags[i] & 3) === 1) || (o.mode === 'outlier' && p.score[i] > .5);
      const c = this.colours, k = 4 * i;
      c[k] = rgb[0]; c[k + 1] = rgb[1]; c[k + 2] = rgb[2]; c[k + 3] = out ? 36 : text === o.grey ? 150 : 224;
      this.sizes[i] = out ? base * .8 : loud ? base * 1.3 : text === o.grey ? base * .8 : base;
      rank[i] = out ? 0 : text === o.grey ? 1 : loud ? 3 : 2;
    }
    // What matters is drawn last, on top.
    const start = [0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) start[rank[i] + 1]++;
    for (let r = 0; r < 4; r++) start[r + 1] += start[r];
    this.order = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.order[start[rank[i]]++] = i;
    if (!this.gl) return;
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.colour);
    gl.bufferData(gl.ARRAY_BUFFER, this.colours, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(this.attributes.colour);
    gl.vertexAttribPointer(this.attributes.colour, 4, gl.UNSIGNED_BYTE, true, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.size);
    gl.bufferData(gl.ARRAY_BUFFER, this.sizes, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(this.attributes.size);
    gl.vertexAttribPointer(this.attributes.size, 1, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.order);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.order, gl.DYNAMIC_DRAW);
  }

  // ---- drawing

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  draw() {
    const { w, h, ratio } = this;
    if (!w) return;
    const grow = Math.min(2, Math.pow(Math.max(1, this.view.zoom / this.fitZoom), .3));
    if (this.gl && !this.gl.isContextLost()) {
      const gl = this.gl;
      gl.viewport(0, 0, this.surface.width, this.surface.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (this.points?.n && this.order) {
        const sx = 2 * this.view.zoom / w, sy = 2 * this.view.zoom / h;
        gl.uniform2f(this.uniforms.scale, sx, sy);
        gl.uniform2f(this.uniforms.offset, (this.middle.x - this.view.x) * sx, (this.middle.y - this.view.y) * sy);
        gl.uniform1f(this.uniforms.ratio, ratio * grow);
        gl.drawElements(gl.POINTS, this.points.n, gl.UNSIGNED_INT, 0);
      }
    }
    const b = this.brush;
    b.setTransform(ratio, 0, 0, ratio, 0, 0);
    b.clearRect(0, 0, w, h);
    if (!this.points?.n || !this.order) return;
    if (!this.gl) this.drawFlat(b, grow);
    this.drawPictures(b);
    const style = getComputedStyle(this.root);
    const ink = style.getPropertyValue('--ink').trim() || '#000';
    const ring = (i, radius) => { const [x, y] = this.toScreen(i); b.beginPath(); b.arc(x, y, radius, 0, 7); b.strokeStyle = ink; b.lineWidth = 2; b.stroke(); };
    if (this.hover >= 0) ring(this.hover, 8);
    if (this.focus >= 0) ring(this.focus, 10);
    if (this.path?.length > 1) {
      b.beginPath();
      this.path.forEach(([x, y], k) => k ? b.lineTo(x, y) : b.moveTo(x, y));
      b.closePath();
      b.fillStyle = 'rgba(60, 140, 210, .14)';
      b.fill();
      b.strokeStyle = style.getPropertyValue('--accent').trim();
      b.lineWidth = 1.5;
      b.stroke();
    }
  }

  drawFlat(b, grow) {
    const c = this.colours;
    for (const i of this.order) {
      const [x, y] = this.toScreen(i);
      if (x < -8 || y < -8 || x > this.w + 8 || y > this.h + 8) continue;
      b.fillStyle = `rgba(${c[4 * i]},${c[4 * i + 1]},${c[4 * i + 2]},${c[4 * i + 3] / 255})`;
      const s = this.sizes[i] * grow;
      b.fillRect(x - s / 2, y - s / 2, s, s);
    }
  }

  drawPictures(b) {
    const placed = [];
    const free = (x, y, s) => !placed.some(q => Math.abs(q[0] - x) < s + 3 && Math.abs(q[1] - y) < s + 3);
    const put = (i, size, letter, at) => {
      const [x, y] = at ?? this.toScreen(i);
      if (x < -size || y < -size || x > this.w + size || y > this.h + size || !free(x, y, size)) return;
      const image = this.image(this.points.sample[i]);
      placed.push([x, y]);
      if (!image) return;
      b.globalAlpha = this.colours[4 * i + 3] < 60 ? .35 : 1;
      if (at) {
        b.lineWidth = 1.5;
        b.strokeStyle = `rgb(${this.colours[4 * i]},${this.colours[4 * i + 1]},${this.colours[4 * i + 2]})`;
        b.beginPath();
        b.moveTo(...this.toScreen(i));
        b.lineTo(x, y);
        b.stroke();
      }
      b.drawImage(image, x - size / 2, y - size / 2, size, size);
      b.lineWidth = 2;
      b.strokeStyle = `rgb(${this.colours[4 * i]},${this.colours[4 * i + 1]},${this.colours[4 * i + 2]})`;
      b.strokeRect(x - size / 2, y - size / 2, size, size);
      if (letter) {
        b.font = '600 11px Inter, system-ui, sans-serif';
        const wide = b.measureText(letter).width + 8;
        b.fillStyle = 'rgba(10,13,16,.78)';
        b.fillRect(x - size / 2 + 1, y + size / 2 - 16, wide, 15);
        b.fillStyle = '#fff';
        b.fillText(letter, x - size / 2 + 5, y + size / 2 - 5);
      }
      b.globalAlpha = 1;
    };
    // What stands for a strategy stands beside its points: at the side where it hides the fewest.
    const beside = i => {
      const [px, py] = this.toScreen(i), d = PICTURE / 2 + 16, half = PICTURE / 2 + 2;
      if (px < 0 || py < 0 || px > this.w || py > this.h) return null;
      let best = null, least = Infinity;
      for (const reach of [1, 1.8]) {
        for (const [ux, uy] of [[0, -1], [1, 0], [-1, 0], [0, 1], [1, -1], [-1, -1], [1, 1], [-1, 1]]) {
          const x = px + ux * d * reach, y = py + uy * d * reach;
          if (x < half || y < half || x > this.w - half || y > this.h - half || !free(x, y, PICTURE)) continue;
          const [x0, y1] = this.toData(x - half, y - half), [x1, y0] = this.toData(x + half, y + half);
          let hidden = 0;
          for (const _ of this.within(x0, y0, x1, y1)) if (++hidden >= least) break;
          if (hidden < least) { least = hidden; best = [x, y]; }
        }
        if (least === 0) break;
      }
      return best;
    };
    (this.options.anchors ?? []).forEach((sample, k) => {
      const i = this.rowOf.get(sample), at = i === undefined ? null : beside(i);
      if (at) put(i, PICTURE, this.options.strategies?.[k], at);
    });
    if (this.view.zoom < this.fitZoom * 1.5) return;
    const [x0, y1] = this.toData(0, 0), [x1, y0] = this.toData(this.w, this.h);
    const seen = [];
    for (const i of this.within(x0, y0, x1, y1)) { seen.push(i); if (seen.length > PICTURES_BELOW) return; }
    for (const i of seen) put(i, PICTURE);
  }

  image(sample) {
    let image = this.images.get(sample);
    if (!image) {
      if (this.images.size > 500) this.images.clear();
      image = new Image();
      image.decoding = 'async';
      image.onload = () => this.redraw();
      image.src = this.options.picture.replace('{sample}', sample);
      this.images.set(sample, image);
    }
    return image.complete && image.naturalWidth ? image : null;
  }

  // ---- looking and choosing

  // Names come one by one, when they are asked for: tens of thousands would be megabytes.
  async lookUp(id) {
    if (this.details.has(id)) return;
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      try {
        const answer = await fetch(this.options.detail.replace('{sample}', id), { signal: this.stop.signal });
        if (!answer.ok) return;
        const found = await answer.json();
        this.details.set(id, `${found.concept.name}${found.concept.label && found.concept.name === `c${found.concept.rank}` ? ` “${found.concept.label.text}”` : ''} of ${found.className}, ${Math.round(100 * found.concept.share)}% of the score`);
        const shown = this.hover >= 0 ? this.hover : this.focus;
        if (shown >= 0 && this.points?.sample[shown] === id) this.showTip(shown);
      } catch { /* The tip stays without its name. */ }
    }, 60);
  }

  describe(i) {
    const p = this.points, o = this.options, parts = [];
    if (o.detail) return this.details.get(p.sample[i]) ?? `concept of ${o.groups?.[p.flags[i]] ? 'the group ' + o.groups[p.flags[i]] : 'a class'}`;
    const c = this.conceptOf(i);
    if (c >= 0) parts.push(`mostly ${o.concepts[c] ?? 'c' + c}`);
    if (p.strategy[i] >= 0) parts.push(`strategy ${o.strategies[p.strategy[i]] ?? p.strategy[i] + 1}`);
    if (p.flags[i] & 1) parts.push(p.flags[i] & 2 ? 'predicted right' : 'predicted wrong');
    const kind = o.kinds?.[(p.flags[i] >> 2) & 7];
    if (kind) parts.push(kind.toLowerCase());
    else if (o.mode === 'outlier' && Number.isFinite(p.score[i])) parts.push(`outlier score ${p.score[i].toFixed(2)}`);
    return parts.join(', ');
  }

  showTip(i) {
    const [x, y] = this.toScreen(i);
    const src = this.options.preview.replace('{sample}', this.points.sample[i]);
    if (this.picture.getAttribute('src') !== src) this.picture.src = src;
    this.words.textContent = this.describe(i);
    if (this.options.detail) this.lookUp(this.points.sample[i]);
    this.tip.style.display = 'block';
    const tall = this.tip.offsetHeight, wide = this.tip.offsetWidth;
    const left = x + 16 + wide > this.w ? x - 16 - wide : x + 16;
    this.tip.style.transform = `translate(${Math.max(2, Math.min(left, this.w - wide - 2))}px, ${Math.max(2, Math.min(y - tall / 2, this.h - tall - 2))}px)`;
  }

  hideTip() { this.tip.style.display = 'none'; }

  setHover(i) {
    if (i === this.hover) return;
    this.hover = i;
    this.root.style.cursor = i >= 0 ? 'pointer' : this.lassoOn ? 'crosshair' : '';
    if (i >= 0) this.showTip(i);
    else this.hideTip();
    this.redraw();
  }

  setLasso(on) { this.lassoOn = on; this.root.style.cursor = on ? 'crosshair' : ''; this.root.style.touchAction = on ? 'none' : ''; }

  at(e) { const r = this.root.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; }

  down(e) {
    if (!this.points || e.button > 0) return;
    const [x, y] = this.at(e);
    this.pointers.set(e.pointerId, { x, y, x0: x, y0: y });
    this.root.setPointerCapture?.(e.pointerId);
    this.dragged = false;
    this.note.hidden = true;
    this.path = (e.shiftKey || this.lassoOn) && this.pointers.size === 1 ? [[x, y]] : null;
  }

  move(e) {
    const [x, y] = this.at(e);
    const held = this.pointers.get(e.pointerId);
    if (!held) { if (e.pointerType !== 'touch') this.setHover(this.nearest(x, y, 14)); return; }
    if (Math.hypot(x - held.x0, y - held.y0) > 4) this.dragged = true;
    if (this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()];
      const before = Math.hypot(a.x - b.x, a.y - b.y);
      held.x = x;
      held.y = y;
      const after = Math.hypot(a.x - b.x, a.y - b.y);
      this.path = null;
      if (before > 0) this.zoomAt((a.x + b.x) / 2, (a.y + b.y) / 2, after / before);
      return;
    }
    if (this.path) {
      // Of a quick hand, or on a busy machine, several places come as one event.
      const all = e.getCoalescedEvents?.() ?? [];
      for (const one of all.length ? all : [e]) this.path.push(this.at(one));
      this.redraw();
    }
    else if (this.dragged) {
      this.view.x -= (x - held.x) / this.view.zoom;
      this.view.y += (y - held.y) / this.view.zoom;
      this.setHover(-1);
      this.redraw();
    }
    held.x = x;
    held.y = y;
  }

  up(e) {
    const held = this.pointers.get(e.pointerId);
    this.pointers.delete(e.pointerId);
    if (!held) return;
    const path = this.path;
    this.path = null;
    if (path && this.dragged && path.length > 2) {
      const outline = this.outline(path);
      this.select(this.inside(outline), true, outline);
    }
    else if (!this.dragged) {
      const i = this.nearest(held.x, held.y, e.pointerType === 'touch' ? 22 : 14);
      if (i >= 0 && e.pointerType === 'touch' && this.hover !== i) this.setHover(i);
      else if (i >= 0) this.open(i);
      else { this.setHover(-1); if (this.picked) this.select(null, true); }
    }
    this.redraw();
  }

  wheel(e) {
    if (!this.points) return;
    e.preventDefault();
    const [x, y] = this.at(e);
    this.zoomAt(x, y, Math.exp(-e.deltaY * (e.deltaMode === 1 ? .05 : .0018)));
    this.setHover(this.nearest(x, y, 14));
  }

  // A lasso as text for addresses: at most 48 corners in thousandths of the extent of the points, 1000 at its lower end.
  outline(path) {
    const every = Math.max(1, path.length / 48), b = this.extent();
    const part = (v, from, to) => Math.max(0, Math.min(3000, Math.round(1000 + 1000 * (v - from) / (to - from || 1))));
    const corners = [];
    for (let k = 0; k < path.length && corners.length < 48; k += every) {
      const [x, y] = this.toData(...path[Math.floor(k)]);
      corners.push(`${part(x, b.x0, b.x1)}.${part(y, b.y0, b.y1)}`);
    }
    return corners.join('-');
  }

  extent() {
    const p = this.points;
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (let i = 0; i < p.n; i++) {
      x0 = Math.min(x0, p.x[i]); x1 = Math.max(x1, p.x[i]);
      y0 = Math.min(y0, p.y[i]); y1 = Math.max(y1, p.y[i]);
    }
    return { x0, x1, y0, y1 };
  }

  inside(outline) {
    const p = this.points, found = [], b = this.extent();
    const polygon = outline.split('-').slice(0, 48).map(corner => {
      const [x, y] = corner.split('.').map(Number);
      return [b.x0 + (x - 1000) / 1000 * (b.x1 - b.x0 || 1), b.y0 + (y - 1000) / 1000 * (b.y1 - b.y0 || 1)];
    });
    if (polygon.length < 3 || !polygon.flat().every(Number.isFinite)) return found;
    const xs = polygon.map(q => q[0]), ys = polygon.map(q => q[1]);
    for (const i of this.within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys))) {
      let odd = false;
      for (let k = 0, l = polygon.length - 1; k < polygon.length; l = k++) {
        const [ax, ay] = polygon[k], [bx, by] = polygon[l];
        if ((ay > p.y[i]) !== (by > p.y[i]) && p.x[i] < (bx - ax) * (p.y[i] - ay) / (by - ay) + ax) odd = !odd;
      }
      if (odd) found.push(i);
    }
    return found;
  }

  select(found, tell, outline) {
    this.picked = null;
    this.outlined = found?.length ? outline ?? null : null;
    if (found?.length) { this.picked = new Uint8Array(this.points.n); for (const i of found) this.picked[i] = 1; }
    this.paint();
    this.redraw();
    const noun = this.options.noun ?? 'images';
    this.note.textContent = `None of the ${noun} lies inside the line. Draw it around some points.`;
    this.note.hidden = !found || found.length > 0;
    this.live.textContent = found?.length ? `${found.length} ${noun} selected` : found ? this.note.textContent : 'Nothing selected';
    if (!tell) return;
    const rows = found?.length ? Int32Array.from(found, i => this.points.sample[i]).sort() : null;
    this.told.push(this.outlined);
    this.target.invokeMethodAsync('Selected', rows ? DotNet.createJSStreamReference(new Uint8Array(rows.buffer)) : null, this.outlined).catch(() => { });
  }

  open(i) { this.target.invokeMethodAsync('Open', this.points.sample[i]).catch(() => { }); }

  key(e) {
    if (!this.points?.n || e.ctrlKey || e.altKey || e.metaKey) return;
    const zoom = { '+': 1.4, '=': 1.4, '-': 1 / 1.4 }[e.key];
    if (zoom) this.zoomAt(this.w / 2, this.h / 2, zoom);
    else if (e.key === '0') this.fit();
    else if (e.key === 'Escape' && this.picked) this.select(null, true);
    else if (e.key === 'Enter' && this.focus >= 0) this.open(this.focus);
    else if (e.key.startsWith('Arrow')) this.step(e.key);
    else if (e.key === ' ') this.gather();
    else return;
    e.preventDefault();
  }

  // The lasso of the keyboard: a circle around the point in focus with its nearest neighbours, twice as many at each press.
  gather() {
    if (this.focus < 0) this.step('ArrowRight');
    const p = this.points, f = this.focus, squares = new Float64Array(p.n);
    this.gathered = { around: f, neighbours: this.gathered?.around === f && this.picked ? 2 * this.gathered.neighbours : 12 };
    for (let i = 0; i < p.n; i++) squares[i] = (p.x[i] - p.x[f]) ** 2 + (p.y[i] - p.y[f]) ** 2;
    squares.sort();
    // No smaller than what thousandths of the extent can say.
    const least = .005 * Math.max(this.box.width, this.box.height);
    const radius = Math.max(least, 1.02 * Math.sqrt(squares[Math.min(this.gathered.neighbours, p.n - 1)]));
    const [x, y] = this.toScreen(f), reach = radius * this.view.zoom;
    const outline = this.outline(Array.from({ length: 40 }, (_, k) => [x + reach * Math.cos(k * Math.PI / 20), y + reach * Math.sin(k * Math.PI / 20)]));
    this.select(this.inside(outline), true, outline);
  }

  // The nearest point in the direction of the arrow, within 45 degrees to either side.
  step(key) {
    const p = this.points;
    if (this.focus < 0) {
      let best = 0, least = Infinity;
      for (let i = 0; i < p.n; i++) { const d = (p.x[i] - this.view.x) ** 2 + (p.y[i] - this.view.y) ** 2; if (d < least) { least = d; best = i; } }
      this.focus = best;
    } else {
      const [ux, uy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
      let best = -1, least = Infinity;
      for (let i = 0; i < p.n; i++) {
        const dx = p.x[i] - p.x[this.focus], dy = p.y[i] - p.y[this.focus];
        const along = dx * ux + dy * uy, aside = Math.abs(dx * uy) + Math.abs(dy * ux);
        if (along <= 0 || aside > along) continue;
        const d = along + 2 * aside;
        if (d < least) { least = d; best = i; }
      }
      if (best >= 0) this.focus = best;
    }
    const [x, y] = this.toScreen(this.focus);
    if (x < 20 || y < 20 || x > this.w - 20 || y > this.h - 20) { this.view.x = p.x[this.focus]; this.view.y = p.y[this.focus]; }
    this.showTip(this.focus);
    this.live.textContent = `${this.options.detail ? 'Concept' : 'Sample'} ${p.sample[this.focus]}: ${this.describe(this.focus)}. Enter opens it, Space selects what is around it.`;
    this.redraw();
  }
}

function hex(text) { const v = parseInt(text.slice(1), 16); return [v >> 16, (v >> 8) & 255, v & 255]; }

const LIGHT = ['#35456c', '#666970', '#948e77', '#c8b140', '#e8a400'], DARK = ['#3b5a8f', '#6d7686', '#948e77', '#c8b866', '#fee838'];
function scale(value, grey) {
  if (!Number.isFinite(value)) return grey;
  const stops = document.documentElement.dataset.theme === 'dark' ? DARK : LIGHT;
  const at = Math.max(0, Math.min(.9999, value)) * (stops.length - 1), k = Math.floor(at), t = Math.round((at - k) * 16) / 16;
  const a = hex(stops[k]), b = hex(stops[k + 1]);
  return '#' + a.map((v, c) => Math.round(v + (b[c] - v) * t).toString(16).padStart(2, '0')).join('');
}
