// Light or dark: the visitor's choice is kept, otherwise the system's. Runs in the head.
(() => {
  const KEY = 'dermaflux-theme';
  const wanted = () => localStorage.getItem(KEY)
    || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  const apply = () => {
    const dark = wanted() === 'dark';
    document.body.classList.toggle('dark', dark);
    const button = document.querySelector('.df-theme');
    if (button) button.textContent = dark ? 'Light theme' : 'Dark theme';
  };
  document.addEventListener('click', (event) => {
    if (!event.target.closest || !event.target.closest('.df-theme')) return;
    localStorage.setItem(KEY, wanted() === 'dark' ? 'light' : 'dark');
    apply();
  });
  const start = () => {
    apply();
    // Gradio sets its own class once it has started; the choice made here wins.
    new MutationObserver(() => {
      const button = document.querySelector('.df-theme');
      const dark = document.body.classList.contains('dark');
      if (dark !== (wanted() === 'dark') || (button && !button.textContent)) apply();
    }).observe(document.body, { attributes: true, attributeFilter: ['class'], childList: true, subtree: true });
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
