// Our pages: fetches parts, sorts and filters tables, says what numbers mean, writes times as the reader
// does, refreshes what is of now. Everything is there or linked without it.
(() => {
  'use strict';
  const all = (root, selector) => [...root.querySelectorAll(selector)];
  const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content || '';
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // --- times ---

  const zone = { timeZone: 'UTC' };
  const moments = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
  const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', ...zone });
  // Words are those of the page, which is English.
  const ages = new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'short' });
  const UNITS = [['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

  function age(date) {
    const seconds = Math.round((date - Date.now()) / 1000);
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) || UNITS[5];
    return ages.format(Math.trunc(seconds / size), unit);
  }

  const WRITE = {
    moment: (date) => moments.format(date),
    day: (date) => days.format(date),
    age,
  };

  // Days stay the hub's; whoever compares them with times is to know whose those are.
  function writeZone(root) {
    const own = moments.resolvedOptions().timeZone;
    for (const place of all(root, '[data-zone]')) place.textContent = `yours, ${own}`;
  }

  function writeTimes(root) {
    for (const time of all(root, 'time[data-show]')) {
      const date = new Date(time.dateTime);
      const write = WRITE[time.dataset.show];
      if (!write || isNaN(date)) continue;
      const text = write(date);
      if (time.textContent !== text) time.textContent = text;
      if (time.dataset.show !== 'day') time.title = exactly.format(date);
    }
  }

  // --- what a number means ---

  const tip = make('div', { role: 'tooltip', id: 'tip', class: 'tip', hidden: '' });
  let told = null;
  let leaving = 0;

  function hideTip() {
    clearTimeout(leaving);
    told?.removeAttribute('aria-describedby');
    told = null;
    tip.hidden = true;
  }

  function placeTip() {
    const box = told.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    const below = box.bottom + 6;
    const top = below + height > innerHeight - 4 && box.top > height + 10 ? box.top - height - 6 : below;
    tip.style.transform = `translate(${Math.max(8, Math.min(box.left, room))}px,${top}px)`;
  }

  function showTip(target) {
    clearTimeout(leaving);
    if (target === told) return;
    hideTip();
    const { definition, source, at } = target.dataset;
    const about = [source, at && age(new Date(at))].filter(Boolean).join(', ');
    if (!definition && !about) return;
    tip.replaceChildren();
    if (definition) tip.append(make('p', {}, definition));
    if (about) tip.append(make('p', { class: 'faint' }, about));
    // In the body it is above all boxes that scroll.
    if (!tip.isConnected) document.body.append(tip);
    tip.hidden = false;
    told = target;
    target.setAttribute('aria-describedby', 'tip');
    placeTip();
  }

  const tellable = (event) => event.target.closest?.('[data-definition]');
  const tell = (event) => {
    const target = tellable(event);
    if (target) showTip(target);
    else hideTip();
  };

  document.addEventListener('pointerover', (event) => {
    const target = tellable(event);
    clearTimeout(leaving);
    if (target) showTip(target);
    // Time enough to move onto it, to read or to copy.
    else if (told && !tip.contains(event.target) && told !== document.activeElement) leaving = setTimeout(hideTip, 200);
  });
  document.addEventListener('focusin', tell);
  document.addEventListener('focusout', hideTip);
  // A finger on a number shows it, one elsewhere puts it away.
  document.addEventListener('pointerdown', (event) => tip.contains(event.target) || tell(event));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hideTip();
  });
  // What gets the focus is scrolled to.
  const follow = () => told && (told === document.activeElement ? placeTip() : hideTip());
  addEventListener('scroll', follow, { passive: true, capture: true });

  // --- tables ---

  const MANY_ROWS = 12;
  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
  const rowsOf = (table) => [...table.tBodies[0].rows].filter((row) => !row.classList.contains('none'));

  function valueOf(row, column) {
    const cell = row.cells[column];
    return (cell.dataset.value ?? cell.textContent).trim();
  }

  // What is not known comes last, whatever the order.
  function compare(one, other, isNumber, sign) {
    if (!one || !other) return (one ? 0 : 1) - (other ? 0 : 1);
    return sign * (isNumber ? one - other : words.compare(one, other));
  }

  function sort(table) {
    const head = table.querySelector('th[aria-sort]');
    if (!head) return;
    const column = head.cellIndex;
    const sign = head.getAttribute('aria-sort') === 'descending' ? -1 : 1;
    const keyed = rowsOf(table).map((row) => ({ row, value: valueOf(row, column) }));
    const isNumber = keyed.every(({ value }) => !value || isFinite(value));
    keyed.sort((one, other) => compare(one.value, other.value, isNumber, sign));
    const focused = document.activeElement;
    table.tBodies[0].append(...keyed.map(({ row }) => row));
    if (document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
  }

  // Numbers begin with the largest, which is what one looks for.
  function turn(head) {
    const first = head.classList.contains('num') ? 'descending' : 'ascending';
    const second = first === 'ascending' ? 'descending' : 'ascending';
    const next = head.getAttribute('aria-sort') === first ? second : first;
    for (const other of all(head.parentElement, '[aria-sort]')) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', next);
    sort(head.closest('table'));
  }

  function filter(table) {
    const input = table.closest('.rows').previousElementSibling?.querySelector('input');
    if (!input) return;
    const wanted = input.value.trim().toLowerCase();
    const rows = rowsOf(table);
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const n = rows.filter((row) => !row.hidden).length;
    input.closest('p').querySelector('[role="status"]').textContent = wanted ? `${n} of ${rows.length} rows` : '';
  }

  function field(label, onInput) {
    const input = make('input', { type: 'search', autocomplete: 'off', spellcheck: 'false' });
    input.addEventListener('input', onInput);
    return make('p', { class: 'filter' }, make('label', {}, `${label} `, input), ' ', make('span', { role: 'status' }));
  }

  function addFilter(table) {
    const box = table.closest('.rows');
    if (rowsOf(table).length <= MANY_ROWS || box.previousElementSibling?.matches('.filter')) return;
    box.before(field('Filter', () => filter(table)));
  }

  function prepareTables(root) {
    for (const table of all(root, 'table.sorts:not([data-ready])')) {
      table.dataset.ready = '';
      for (const head of table.tHead.rows[0].querySelectorAll('th')) {
        const button = make('button', { type: 'button', class: 'sort' }, ...head.childNodes);
        if (head.dataset.definition) {
          button.dataset.definition = head.dataset.definition;
          delete head.dataset.definition;
        }
        head.append(button);
      }
      addFilter(table);
    }
  }

  document.addEventListener('click', (event) => {
    const head = event.target.closest?.('table.sorts thead th');
    if (head && event.target.closest('.sort')) turn(head);
  });

  // --- lists ---

  function prepareLists(root) {
    for (const list of all(root, '[data-filter]')) {
      const search = field(list.dataset.filter, () => {
        const wanted = search.querySelector('input').value.trim().toLowerCase();
        const items = all(list, '[data-filter-item]');
        for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
        for (const group of all(list, '[data-filter-group]')) {
          group.hidden = !group.querySelector('[data-filter-item]:not([hidden])');
        }
        const n = items.filter((item) => !item.hidden).length;
        search.querySelector('[role="status"]').textContent = wanted ? `${n} of ${items.length}` : '';
      });
      list.prepend(search);
    }
  }

  // --- asking the service ---

  // Whoever is logged out is asked to log in; everything else that is no answer is an error.
  class Refused extends Error {}

  // The token of the page says who asks. A cookie would not be sent: a page of ours has an origin of its own.
  function ask(url) {
    const headers = { 'X-Insights-Page': meta('page-token'), Accept: 'text/html' };
    return fetch(url, { headers, credentials: 'same-origin', redirect: 'manual', cache: 'no-store' });
  }

  const MOST_TRIES = 20;

  // The answer as elements. A service that is busy says when to come again.
  async function get(url, onBusy) {
    for (let tries = 1; ; tries += 1) {
      const reply = await ask(url);
      // A page of ours that leads elsewhere leads to the login.
      if (reply.type === 'opaqueredirect' || reply.status === 401 || reply.status === 403) throw new Refused();
      if (reply.status === 503 && tries < MOST_TRIES) {
        onBusy?.();
        const seconds = Number(reply.headers.get('Retry-After')) || 2;
        await sleep(Math.min(seconds, 60) * 1000 * (0.8 + 0.4 * Math.random()));
        continue;
      }
      if (!reply.ok) throw new Error(String(reply.status));
      const page = new DOMParser().parseFromString(await reply.text(), 'text/html');
      return document.adoptNode(page.body);
    }
  }

  function loginLink() {
    const next = location.pathname + location.search;
    const login = meta('login');
    return login && make('a', { href: login + (login.includes('?') ? '&' : '?') + new URLSearchParams({ next }) }, 'Log in again');
  }

  const icon = () => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 16 16');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(document.createElementNS(svg.namespaceURI, 'path'));
    svg.firstChild.setAttribute('d', 'M8 2l6.5 11.5h-13zM8 6.5v3M8 11.4v.4');
    return svg;
  };

  const notice = (...children) =>
    make('div', { class: 'notice warning', role: 'status' }, icon(), make('p', {}, ...children.filter(Boolean)));

  // --- parts ---

  const MOST_AT_ONCE = 3;
  const waiting = [];
  let nUnderWay = 0;

  // How wide a chart may be, in steps, so that few widths are drawn. On a projector, where all text is
  // larger, it is drawn for less room than it gets.
  function widthOf(part) {
    const style = getComputedStyle(part);
    const zoom = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
    const inside = (part.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)) / zoom;
    return Math.max(320, Math.min(1400, Math.floor(inside / 20) * 20));
  }

  // The heading stays, and with it the focus, if it has that.
  function state(part, name, ...children) {
    const heading = part.querySelector('h2');
    part.dataset.state = name;
    part.setAttribute('aria-busy', String(name === 'loading' || name === 'busy'));
    while (heading.nextSibling) heading.nextSibling.remove();
    heading.after(...children);
  }

  function focusHeading(part) {
    const heading = part.querySelector('h2');
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }

  function shimmer(part, name, text) {
    state(part, name, make('p', { class: 'shimmer' }, make('span', { class: name === 'busy' ? 'said' : 'sr' }, text)));
  }

  function failed(part, error) {
    const report = part.dataset.report;
    if (error instanceof Refused) {
      state(part, 'refused', notice('You were logged out, or this is not for you. ', loginLink()));
      return;
    }
    const again = make('button', { type: 'button' }, 'Try again');
    again.addEventListener('click', () => {
      focusHeading(part);
      shimmer(part, 'loading', 'Being computed');
      line(part);
    });
    const open = report && make('a', { href: report }, 'Open the report');
    state(part, 'failed', notice('This part could not be loaded. ', again, ' ', open));
  }

  async function load(part) {
    const url = new URL(part.dataset.part, location.href);
    url.searchParams.set('width', widthOf(part));
    try {
      const answer = await get(url, () => shimmer(part, 'busy', 'The service is busy; this part comes as soon as it can.'));
      const isFocused = part.contains(document.activeElement);
      part.replaceChildren(...answer.childNodes);
      if (isFocused) focusHeading(part);
      part.dataset.state = part.querySelector(':scope > .empty') ? 'empty' : 'done';
      part.setAttribute('aria-busy', 'false');
      prepare(part);
    } catch (error) {
      failed(part, error);
    }
  }

  async function next() {
    if (nUnderWay >= MOST_AT_ONCE || waiting.length === 0) return;
    nUnderWay += 1;
    await load(waiting.shift());
    nUnderWay -= 1;
    next();
  }

  function line(part) {
    waiting.push(part);
    next();
  }

  // --- what refreshes by itself ---

  // The thing in a refreshed box that has the focus, so that the same one gets it again.
  function place(box) {
    const focused = document.activeElement;
    const row = focused?.closest('[data-key]');
    if (!row || !box.contains(row)) return null;
    return { key: row.dataset.key, index: all(row, 'a, button, [tabindex]').indexOf(focused) };
  }

  function focusAgain(box, { key, index }) {
    const row = box.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const same = row && all(row, 'a, button, [tabindex]')[index];
    same?.focus({ preventScroll: true });
  }

  function put(box, answer) {
    const held = place(box);
    for (const live of all(answer, '[data-live]')) {
      const old = box.querySelector(`[data-live="${CSS.escape(live.dataset.live)}"]`);
      // Numbers that somebody reads the meaning of stay until they look elsewhere.
      if (!old || (told && old.contains(told))) continue;
      old.replaceChildren(...live.childNodes);
    }
    prepare(box);
    for (const table of all(box, 'table.sorts')) {
      addFilter(table);
      sort(table);
      filter(table);
    }
    if (held) focusAgain(box, held);
  }

  function refresh(box) {
    const every = Math.max(2, Number(box.dataset.every) || 10) * 1000;
    const text = document.querySelector('[data-refreshed]');
    const said = make('span', { role: 'status', class: 'sr' });
    text?.after(said);
    let last = Date.now();
    let next = last + every;
    let problem = '';
    let isAsking = false;

    function say(words, isNews) {
      if (text && text.textContent !== words) text.textContent = words;
      // Aloud only what changes rarely.
      if (isNews) said.textContent = words;
    }

    async function once() {
      isAsking = true;
      try {
        put(box, await get(box.dataset.refresh));
        last = Date.now();
        if (problem) say('Refreshed again', true);
        problem = '';
      } catch (error) {
        const isNew = !problem;
        problem = error instanceof Refused ? 'logged out' : 'not refreshed';
        if (isNew) said.textContent = `This page is ${problem}.`;
        if (error instanceof Refused) {
          text?.replaceChildren('You were logged out. ', loginLink() || '');
          return;
        }
      }
      next = Date.now() + every * (problem ? 3 : 1);
      isAsking = false;
    }

    setInterval(() => {
      if (document.hidden || problem === 'logged out') return;
      if (!isAsking && Date.now() >= next) once();
      const when = age(last);
      if (problem) say(`Could not refresh; last ${when}`);
      else say(`Refreshed ${when}`);
    }, 1000);
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && !isAsking && Date.now() >= next) once();
    });
  }

  // --- small comforts ---

  function prepareCopies(root) {
    for (const input of all(root, 'input[data-copy]')) {
      const button = make('button', { type: 'button' }, 'Copy');
      button.addEventListener('click', async () => {
        input.select();
        const copied = await navigator.clipboard?.writeText(input.value).then(() => true, () => false);
        // Where that is not allowed, the old way may be.
        button.textContent = copied || document.execCommand('copy') ? 'Copied' : 'Selected';
      });
      input.after(' ', button);
    }
  }

  // What cannot be undone takes a second click; the page is not allowed to ask in a window of its own.
  document.addEventListener('submit', (event) => {
    const { confirm } = event.target.dataset;
    const button = event.submitter;
    if (!confirm || !button || button.dataset.sure) return;
    event.preventDefault();
    const before = [...button.childNodes];
    button.dataset.sure = 'asked';
    button.replaceChildren(confirm);
    setTimeout(() => {
      delete button.dataset.sure;
      button.replaceChildren(...before);
    }, 6000);
  });

  // --- start ---

  function prepare(root) {
    writeTimes(root);
    prepareTables(root);
    root.dispatchEvent(new CustomEvent('insights:part', { bubbles: true }));
  }

  prepare(document);
  writeZone(document);
  prepareLists(document);
  prepareCopies(document);
  all(document, '[data-part]').forEach(line);
  all(document, '[data-refresh]').forEach(refresh);
  setInterval(() => document.hidden || writeTimes(document), 15000);
  document.querySelector('nav.pages [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
})();
