// A lost connection costs nothing: the page's state is in its address. Say it quietly, come back by itself.
const notice = document.getElementById('components-reconnect-modal');
async function retry() {
  try {
    if (!await Blazor.reconnect() && !(Blazor.resumeCircuit && await Blazor.resumeCircuit())) location.reload();
  } catch {
    // The server is still away: try again when the page is looked at, or on the button.
    document.addEventListener('visibilitychange', whenVisible);
  }
}
function whenVisible() {
  if (document.visibilityState !== 'visible') return;
  document.removeEventListener('visibilitychange', whenVisible);
  retry();
}
notice?.addEventListener('components-reconnect-state-changed', e => {
  if (e.detail.state === 'rejected') location.reload();
  if (e.detail.state === 'failed') document.addEventListener('visibilitychange', whenVisible);
});
notice?.querySelector('button')?.addEventListener('click', retry);
document.querySelector('#blazor-error-ui button')?.addEventListener('click', () => location.reload());
