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
