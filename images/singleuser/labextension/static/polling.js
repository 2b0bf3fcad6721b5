/* JupyterLab polls its server less often, and least while nobody touches the tab (docs/images.md).
 *
 * JupyterLab polls every ten seconds while its tab is visible, and has no setting for that. Each poll is a request
 * that CloudFront bills. All polls are instances of Poll of @lumino/polling, which schedules the next tick of each; this
 * extension lengthens the interval there. It leaves alone what a person's action refreshes, a poll that fails (it
 * backs off by itself), and a poll of a hidden tab (it makes no request).
 *
 * The file is a container of webpack's module federation, which is how JupyterLab loads extensions: `init` receives the
 * modules that JupyterLab shares, `get` returns the plugin. It is written by hand, so nothing needs a build.
 */
(() => {
  const SECOND = 1000;
  const FILES = '@jupyterlab/filebrowser:Model';
  const RUNNING = [
    '@jupyterlab/services:KernelManager#models',
    '@jupyterlab/services:SessionManager#models',
    '@jupyterlab/services:TerminalManager#models'
  ];
  // Seconds between two requests of each poll, while somebody uses the tab. Other polls keep JupyterLab's interval.
  const IN_USE = new Map([
    [FILES, 60],
    ...RUNNING.map(name => [name, 120]),
    ['@jupyterlab/services:KernelSpecManager#specs', 300],
    ['@jupyterlab/services:UserManager#user', 300],
    ['@jupyterlab/workspaces:Model', 300]
  ]);
  // What a list shows of work elsewhere (a cell's new file, another tab's kernel) can be late by that. So a list that
  // the pointer is over is as fresh as JupyterLab's own.
  const LISTS = new Map([
    ['.jp-FileBrowser', [FILES]],
    ['.jp-RunningSessions', RUNNING]
  ]);
  const FRESH = 10; // seconds
  const UNTOUCHED = 300; // the interval of all of them in a tab that nobody touches
  const UNTOUCHED_AFTER = 120; // seconds without a key, a click or a movement
  const SUCCEEDED = new Set(['resolved', 'reconnected']);
  const INPUTS = ['keydown', 'pointerdown', 'pointermove', 'wheel'];

  let shared;
  let touched = Date.now();
  const polls = new Set();

  const isUntouched = () => Date.now() - touched > UNTOUCHED_AFTER * SECOND;

  const interval = poll => (isUntouched() ? UNTOUCHED : IN_USE.get(poll.name)) * SECOND;

  /** Lengthen the intervals of each Poll, those that exist already as well. */
  function lengthen(Poll) {
    const { schedule } = Poll.prototype;
    Poll.prototype.schedule = function (next = {}) {
      if (!IN_USE.has(this.name)) {
        return schedule.call(this, next);
      }
      polls.add(this);
      const lengthened = SUCCEEDED.has(next.phase) ? { ...next, interval: interval(this) } : next;
      return schedule.call(this, lengthened);
    };
  }

  /** Note that a person uses the tab. What grew old meanwhile, or is pointed at, is read again at once. */
  function touch(event) {
    const returns = isUntouched();
    touched = Date.now();
    if (returns) {
      refresh(interval);
    }
    for (const [selector, names] of LISTS) {
      if (event.target instanceof Element && event.target.closest(selector)) {
        refresh(poll => (names.includes(poll.name) ? FRESH * SECOND : Infinity));
      }
    }
  }

  /** Refresh each poll that is older than *longest* says, in milliseconds. */
  function refresh(longest) {
    for (const poll of polls) {
      if (poll.isDisposed) {
        polls.delete(poll);
      } else if (SUCCEEDED.has(poll.state.phase) && Date.now() - poll.state.timestamp > longest(poll)) {
        void poll.refresh();
      }
    }
  }

  const plugin = {
    id: 'hubless-polling:plugin',
    description: 'Polls the server less often.',
    autoStart: true,
    activate: () => {
      for (const input of INPUTS) {
        window.addEventListener(input, touch, { capture: true, passive: true });
      }
      document.addEventListener('visibilitychange', event => document.visibilityState === 'visible' && touch(event));
    }
  };

  /** Return the one version of *name* that JupyterLab shares. */
  async function sharedModule(name) {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  }

  globalThis._JUPYTERLAB = globalThis._JUPYTERLAB ?? {};
  globalThis._JUPYTERLAB['hubless-polling'] = {
    init: modules => {
      shared = modules;
    },
    get: async () => {
      const { Poll } = await sharedModule('@lumino/polling');
      lengthen(Poll);
      return () => ({ __esModule: true, default: plugin });
    }
  };
})();
