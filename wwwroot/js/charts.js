// A chart whose page was left while the chart library was still loading is drawn by nobody: the library would throw, and the
// charts that wait behind it would stay empty. Wraps the library's entry points as soon as it announces itself.
(() => {
  let library;
  const find = document.getElementById.bind(document);
  const there = element => typeof element !== 'string' || find(element) !== null;

  // Listeners of a chart that is gone are attached as soon as the library's script ends, without a look whether it is there.
  const absent = { on: () => {}, isConnected: false };
  const forgive = script => {
    if (script) {
      document.getElementById = id => find(id) ?? absent;
      script.addEventListener('load', () => delete document.getElementById, { once: true });
    }
  };

  // A drawing that goes on after its page was left finds nothing of what it had laid out: that is no fault to report.
  const left = element => {
    const found = typeof element === 'string' ? find(element) : element;
    return !found?.isConnected || !found._fullLayout;
  };
  const draw = (original, element, rest) => {
    const drawing = original(element, ...rest);
    return drawing?.catch?.(fault => {
      if (!left(element)) {
        throw fault;
      }
    }) ?? drawing;
  };
  Object.defineProperty(window, 'Plotly', {
    configurable: true,
    get: () => library,
    set: value => {
      library = value;
      forgive(document.currentScript);
      for (const name of ['newPlot', 'react', 'relayout', 'restyle', 'update', 'purge']) {
        const original = value?.[name];
        if (typeof original === 'function') {
          try {
            value[name] = (element, ...rest) => there(element) ? draw(original, element, rest) : Promise.resolve();
          } catch {
            // A frozen library keeps its own behaviour.
          }
        }
      }
    },
  });
})();

// The library's script and the first drawing hold a page up for a quarter of a second: charts wait until the page answers, and
// those out of sight until it has nothing else to do.
(() => {
  const PATIENCE = 4000, REST = 400;
  const root = document.documentElement;
  const answers = new Promise(done => {
    const look = () => {
      if (!('live' in root.dataset && 'keys' in root.dataset)) return;
      watcher.disconnect();
      done();
    };
    const watcher = new MutationObserver(look);
    watcher.observe(root, { attributes: true, attributeFilter: ['data-live', 'data-keys'] });
    setTimeout(done, PATIENCE);
    look();
  });
  const idle = done => window.requestIdleCallback ? requestIdleCallback(done, { timeout: PATIENCE }) : setTimeout(done);
  const inSight = element => {
    const place = element?.getBoundingClientRect();
    return place && place.bottom > 0 && place.top < innerHeight;
  };
  window.atlasCharts = {
    // Resolves when the chart in this element may be drawn.
    turn: async element => {
      await answers;
      if (!inSight(element)) await new Promise(done => setTimeout(() => idle(done), REST));
    },
  };
})();
