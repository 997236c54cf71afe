// The first-run tour: three steps beside what they speak of, once a browser, again from the "?" in the header.
(() => {
  const KEY = 'dermaflux-tour-seen';
  const STEPS = [
    { at: '.df-panel', title: 'Describe', text: 'Set diagnosis, asymmetry, border and colours. The caption follows, and you may edit it. Then press Generate.' },
    { at: '.df-main', title: 'Judge', text: 'Samples form here, then with what was measured beside what you asked for. Accept with A, reject with R, unsure with U; Ctrl+Z takes the last verdict back.' },
    { at: '#tabs [role="tablist"]', title: 'Collect and export', text: 'The Dataset tab holds what was accepted and exports it for training. Every picture is synthetic: research use only, never for diagnosis.' },
  ];
  let box, before, step = 0;

  const isShown = (element) => element && element.getClientRects().length > 0;

  const close = () => {
    if (!box) return;
    localStorage.setItem(KEY, 'yes');
    document.querySelectorAll('.df-tour-target').forEach((e) => e.classList.remove('df-tour-target'));
    box.remove();
    box = null;
    if (before && before.isConnected) before.focus();
  };

  const place = () => {
    const target = document.querySelector(STEPS[step].at);
    document.querySelectorAll('.df-tour-target').forEach((e) => e.classList.remove('df-tour-target'));
    if (!isShown(target)) { box.style.left = '16px'; box.style.top = '120px'; return; }
    target.classList.add('df-tour-target');
    target.scrollIntoView({ block: 'nearest' });
    const there = target.getBoundingClientRect(), own = box.getBoundingClientRect();
    const right = there.right + 16 + own.width <= innerWidth;
    const left = right ? there.right + 16 : Math.max(16, Math.min(there.left + 24, innerWidth - own.width - 16));
    const top = right ? there.top + 24 : there.height < 120 ? there.bottom + 14 : there.top + 60;
    box.style.left = `${left}px`;
    box.style.top = `${Math.max(16, Math.min(top, innerHeight - own.height - 16))}px`;
  };

  const show = (number) => {
    step = Math.max(0, Math.min(number, STEPS.length - 1));
    box.querySelector('h2').textContent = STEPS[step].title;
    box.querySelector('.df-tour-text').textContent = STEPS[step].text;
    box.querySelector('.df-tour-count').textContent = `${step + 1} of ${STEPS.length}`;
    box.querySelector('.df-tour-back').disabled = step === 0;
    box.querySelector('.df-tour-next').textContent = step === STEPS.length - 1 ? 'Done' : 'Next';
    place();
    box.querySelector('.df-tour-next').focus();
  };

  const open = () => {
    if (box) return;
    before = document.activeElement;
    box = document.createElement('div');
    box.className = 'df-tour';
    box.setAttribute('role', 'dialog');
    box.setAttribute('aria-labelledby', 'df-tour-title');
    box.setAttribute('aria-describedby', 'df-tour-text');
    box.innerHTML = '<h2 id="df-tour-title"></h2><p id="df-tour-text" class="df-tour-text" aria-live="polite"></p>'
      + '<div class="df-tour-row"><span class="df-tour-count"></span><button type="button" class="df-tour-skip">Skip</button>'
      + '<button type="button" class="df-tour-back">Back</button><button type="button" class="df-tour-next"></button></div>';
    document.body.append(box);
    box.querySelector('.df-tour-skip').onclick = close;
    box.querySelector('.df-tour-back').onclick = () => show(step - 1);
    box.querySelector('.df-tour-next').onclick = () => (step === STEPS.length - 1 ? close() : show(step + 1));
    box.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowRight') show(step + 1);
      if (event.key === 'ArrowLeft') show(step - 1);
      event.stopPropagation();
      if (event.key === 'Escape') close();
    });
    show(0);
  };

  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(); });
  document.addEventListener('click', (event) => {
    if (event.target.closest && event.target.closest('.df-help')) {
      const tab = document.querySelector('#tabs [role="tab"]');
      if (tab && tab.getAttribute('aria-selected') !== 'true') tab.click();
      setTimeout(open, 50);
    }
  });
  addEventListener('resize', () => { if (box) place(); });

  const start = () => {
    // A program that drives the page (a test, a screenshot) has seen enough tours.
    if (localStorage.getItem(KEY) || navigator.webdriver) return;
    const waiting = setInterval(() => {
      if (!isShown(document.querySelector('.df-panel'))) return;
      clearInterval(waiting);
      open();
    }, 300);
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
