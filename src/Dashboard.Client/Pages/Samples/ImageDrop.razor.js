// Sends an image that was chosen, dropped or pasted, and tells what became of it.
const most = 20000000;

export function attach(area, address, target) {
  const input = area.querySelector('input');
  const tell = (what, ...rest) => target.invokeMethodAsync(what, ...rest).catch(() => { });
  let busy = false;

  const send = async file => {
    if (busy || !file) return;
    if (file.size > most) { tell('OnRefused', 'The file has more than 20 MB. Store the image smaller; the network sees it at its own size anyway.'); return; }
    busy = true;
    tell('OnSending');
    try {
      const answer = await fetch(address, { method: 'POST', body: file, headers: { 'Content-Type': 'application/octet-stream' } });
      const body = await answer.json().catch(() => ({}));
      if (answer.ok) tell('OnBrought', body.hash);
      else tell('OnRefused', body.detail ?? 'The image could not be sent. Try again.');
    } catch {
      tell('OnRefused', 'The image could not be sent: the server did not answer. Try again.');
    } finally {
      busy = false;
      input.value = '';
    }
  };

  const pictures = list => [...(list ?? [])].find(file => file.type.startsWith('image/')) ?? list?.[0];
  const chosen = () => send(input.files[0]);
  const over = e => {
    if (![...(e.dataTransfer?.types ?? [])].includes('Files')) return;
    e.preventDefault();
    area.classList.add('over');
  };
  const left = e => { if (!e.relatedTarget) area.classList.remove('over'); };
  const dropped = e => {
    area.classList.remove('over');
    if (!e.dataTransfer?.files.length) return;
    e.preventDefault();
    send(pictures(e.dataTransfer.files));
  };
  const pasted = e => {
    const file = [...(e.clipboardData?.files ?? [])].find(f => f.type.startsWith('image/'));
    if (!file) return;
    e.preventDefault();
    send(file);
  };
  input.addEventListener('change', chosen);
  // Anywhere on the page: who misses the area by a little must not leave the site for the picture.
  document.addEventListener('dragover', over);
  document.addEventListener('dragleave', left);
  document.addEventListener('drop', dropped);
  document.addEventListener('paste', pasted);
  return {
    dispose: () => {
      document.removeEventListener('dragover', over);
      document.removeEventListener('dragleave', left);
      document.removeEventListener('drop', dropped);
      document.removeEventListener('paste', pasted);
    },
  };
}
