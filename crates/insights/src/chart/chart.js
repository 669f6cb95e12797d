// Charts in a page: values under the pointer or by arrow keys, and series that can be switched off.
// Everything a chart says is in its SVG already; without this script nothing is missing but comfort.
(() => {
  'use strict';
  const SVG = 'http://www.w3.org/2000/svg';
  const MOST_ROWS = 16;
  const tip = document.createElement('div');
  tip.className = 'chart-tip';
  tip.hidden = true;
  const all = (root, selector) => [...root.querySelectorAll(selector)];
  const seriesOf = (chart) => all(chart, '.series');
  const colourOf = (group) => [...group.classList].find((name) => /^s\d$/.test(name)) || '';
  const isOff = (group) => group.classList.contains('off');

  // --- values under the pointer ---

  function add(parent, tag, text, className) {
    const child = parent.appendChild(document.createElement(tag));
    if (text) child.textContent = text;
    if (className) child.className = className;
    return child;
  }

  function rowsFor(target, chart) {
    const values = target.dataset.values.split('|');
    const own = target.closest('.series');
    if (own) return [{ name: own.dataset.name, value: values[0] }];
    const groups = seriesOf(chart);
    const rows = groups.map((group, i) => ({ group, name: group.dataset.name, value: values[i] }));
    const shown = rows.filter((row) => !isOff(row.group));
    if (values.length > rows.length && shown.length === rows.length) {
      shown.push({ name: 'Total', value: values[rows.length] });
    }
    return shown;
  }

  function fill(target, chart) {
    tip.replaceChildren();
    add(tip, 'strong', target.dataset.label);
    const rows = rowsFor(target, chart);
    for (const row of rows.slice(0, MOST_ROWS)) {
      const line = add(tip, 'div');
      if (row.group && rows.length > 1) add(line, 'i', '', colourOf(row.group));
      add(line, 'span', row.name);
      add(line, 'b', row.value);
    }
    if (rows.length > MOST_ROWS) add(tip, 'span', `and ${rows.length - MOST_ROWS} more`);
  }

  function place(x, y) {
    const { width, height } = tip.getBoundingClientRect();
    const right = x + 14;
    const left = right + width > innerWidth - 4 ? x - 14 - width : right;
    const top = Math.min(y + 14, innerHeight - height - 4);
    tip.style.transform = `translate(${Math.max(4, left)}px,${Math.max(4, top)}px)`;
  }

  // The points of a series' lines, as its path says them.
  const known = new WeakMap();
  function pointsOf(group) {
    if (!known.has(group)) {
      const path = group.querySelector('.line');
      const numbers = path ? path.getAttribute('d').match(/[\d.]+/g).map(Number) : [];
      const points = [];
      for (let i = 0; i + 1 < numbers.length; i += 2) points.push([numbers[i], numbers[i + 1]]);
      for (const dot of all(group, '.dot')) points.push([dot.cx.baseVal.value, dot.cy.baseVal.value]);
      known.set(group, points);
    }
    return known.get(group);
  }

  const clearSpots = () => all(document, '.chart .spot').forEach((spot) => spot.remove());

  // Marks the point nearest to the middle of the area that the pointer is in.
  function drawSpots(target, chart) {
    clearSpots();
    if (target.closest('.series')) return;
    const middle = target.getBBox().x;
    const half = parseFloat(getComputedStyle(target).strokeWidth) / 2;
    for (const group of seriesOf(chart)) {
      let best = null;
      for (const point of pointsOf(group)) {
        if (Math.abs(point[0] - middle) > half + 0.1) continue;
        if (!best || Math.abs(point[0] - middle) < Math.abs(best[0] - middle)) best = point;
      }
      if (!best || isOff(group)) continue;
      const spot = group.appendChild(document.createElementNS(SVG, 'circle'));
      spot.setAttribute('class', 'spot');
      spot.setAttribute('cx', best[0]);
      spot.setAttribute('cy', best[1]);
      spot.setAttribute('r', 4);
    }
  }

  let current = null;
  function hide() {
    if (current) clearSpots();
    if (current) current.classList.remove('at');
    current = null;
    tip.hidden = true;
  }

  // Values that are found by keys are read aloud; a pointer would make too many words.
  function show(target, x, y, role) {
    tip.setAttribute('role', role);
    if (!tip.isConnected) document.body.appendChild(tip);
    tip.hidden = false;
    if (target !== current) {
      if (current) current.classList.remove('at');
      const chart = target.closest('.chart');
      fill(target, chart);
      drawSpots(target, chart);
      target.classList.add('at');
      current = target;
    }
    place(x, y);
  }

  function follow(event) {
    const target = event.target.closest && event.target.closest('.chart [data-values]');
    if (!target) return hide();
    show(target, event.clientX, event.clientY, 'none');
  }

  // --- the same by keys ---

  const KEYS = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'];

  function next(chart, key) {
    const marks = all(chart, '[data-values]');
    const at = marks.indexOf(current);
    if (key === 'End') return marks[marks.length - 1];
    if (key === 'Home' || at < 0) return marks[0];
    const by = key === 'ArrowLeft' || key === 'ArrowUp' ? -1 : 1;
    const isDown = key === 'ArrowUp' || key === 'ArrowDown';
    if (!isDown || !current.closest('.series')) return marks[at + by] || current;
    // Another row of a grid, at the same place.
    const column = marks.filter((mark) => mark.dataset.label === current.dataset.label);
    return column[column.indexOf(current) + by] || current;
  }

  function walk(event) {
    const chart = event.target;
    if (!KEYS.includes(event.key) || !chart.matches || !chart.matches('svg.chart')) return;
    const mark = next(chart, event.key);
    if (!mark) return;
    event.preventDefault();
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.top + Math.min(box.height / 2, 60), 'status');
  }

  // --- series that can be switched off ---

  // Lets the bars that are left stand on each other. Each is `M middle top v height`; what it adds
  // to its stack goes from the end of the one before it to its own.
  const original = new WeakMap();
  function restack(chart) {
    const base = chart.querySelector('[data-zero]');
    if (!base) return;
    const zero = Number(base.dataset.zero);
    const ends = new Map();
    for (const group of seriesOf(chart)) {
      const path = group.querySelector('.bar');
      if (!path) continue;
      if (!original.has(path)) original.set(path, path.getAttribute('d'));
      path.setAttribute('d', original.get(path).replace(/M(\S+) (\S+)v([\d.]+)/g, (_, middle, top, height) => {
        const isUp = Number(top) < zero;
        const key = middle + isUp;
        const end = ends.get(key) || { moved: 0, at: zero };
        const far = isUp ? Number(top) : Number(top) + Number(height);
        const moved = isOff(group) ? end.moved + end.at - far : end.moved;
        ends.set(key, { moved, at: far });
        return `M${middle} ${(Number(top) + moved).toFixed(1)}v${height}`;
      }));
    }
  }

  function toggle(entry) {
    const chart = entry.closest('.chart');
    const group = chart.querySelector(`.series[data-series="${entry.dataset.series}"]`);
    if (!group) return;
    entry.setAttribute('aria-pressed', String(!group.classList.toggle('off')));
    restack(chart);
    hide();
  }

  const entryOf = (event) => event.target.closest && event.target.closest('.chart .entry[role="button"]');

  // The script makes charts that can be walked through and the legend's entries buttons: without it
  // they would do nothing.
  function prepare(chart) {
    chart.dataset.ready = '';
    if (chart.querySelector('[data-values]')) chart.setAttribute('tabindex', '0');
    const title = chart.querySelector(':scope > title');
    if (title) {
      // Else the browser shows it over the chart, beside the values.
      chart.setAttribute('aria-label', title.textContent);
      chart.removeAttribute('aria-labelledby');
      title.remove();
    }
    const entries = all(chart, '.entry');
    if (entries.length === 0) return;
    // An image has no buttons inside; a group has, and what remains is said by its description.
    chart.setAttribute('role', 'group');
    for (const child of chart.children) {
      if (!child.matches('.legend, desc')) child.setAttribute('aria-hidden', 'true');
    }
    for (const entry of entries) {
      const group = chart.querySelector(`.series[data-series="${entry.dataset.series}"]`);
      entry.setAttribute('role', 'button');
      entry.setAttribute('tabindex', '0');
      entry.setAttribute('aria-pressed', 'true');
      if (group) entry.setAttribute('aria-label', group.dataset.name);
    }
  }

  document.addEventListener('pointermove', follow);
  document.addEventListener('pointerdown', follow);
  document.addEventListener('pointerleave', hide);
  document.addEventListener('focusout', hide);
  addEventListener('scroll', hide, { passive: true, capture: true });
  document.addEventListener('click', (event) => {
    const entry = entryOf(event);
    if (entry) toggle(entry);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hide();
    walk(event);
    const entry = entryOf(event);
    if (!entry || (event.key !== 'Enter' && event.key !== ' ')) return;
    event.preventDefault();
    toggle(entry);
  });
  const start = () => all(document, 'svg.chart:not([data-ready])').forEach(prepare);
  // The page says so when it has put in more charts.
  document.addEventListener('insights:part', start);
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
