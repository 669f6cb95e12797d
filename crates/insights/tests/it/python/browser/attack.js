// What a user's server tries in the browser of an administrator who opened it. Each attempt gives all text that it
// could read, or how it failed; the browser test looks for names in it.
'use strict';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const home = location.href;

// At the address of another page, as far as `Referer` and `document.cookie` go.
async function at(address, ask) {
  history.pushState(null, '', address);
  try {
    return await ask();
  } finally {
    history.pushState(null, '', home);
  }
}

// The text of a reply and of its head.
async function read(address, options) {
  const reply = await fetch(address, options);
  const head = [...reply.headers].map(([name, value]) => `${name}: ${value}`);
  return [reply.status, reply.url, ...head, await reply.text()].join('\n');
}

function xhr(address) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.withCredentials = true;
    request.open('GET', address);
    request.setRequestHeader('Accept', 'text/html');
    request.onload = () => done(`${request.status}\n${request.responseURL}\n${request.responseText}`);
    request.onerror = () => failed(new Error('no answer'));
    request.send();
  });
}

// Everything in a window or frame that may be looked into.
function inside(view) {
  const root = view.document?.documentElement;
  return `${view.location?.href}\n${view.name}\n${root ? root.outerHTML : ''}`;
}

// Looks again and again, since a page comes when it comes.
async function watch(look, ms) {
  let seen = '';
  for (let waited = 0; waited < ms; waited += 100) {
    try {
      const text = look();
      // The longest: a blank page is readable before another one comes.
      if (text.length > seen.length) seen = text;
    } catch (error) {
      return `${seen}\n${error.name}`;
    }
    await sleep(100);
  }
  return seen;
}

async function frame(tag, address) {
  const element = document.createElement(tag);
  element[tag === 'object' ? 'data' : 'src'] = address;
  document.body.append(element);
  const view = () => element.contentWindow ?? element.getSVGDocument?.()?.defaultView ?? {};
  const seen = await watch(() => inside(view()), 1500);
  element.remove();
  return seen;
}

async function popup(address, ms = 1500) {
  const view = window.open(address, '_blank');
  const seen = await watch(() => inside(view), ms);
  view.close();
  return seen;
}

// A script in the address of a window that is there already.
async function scripted(address) {
  const view = window.open(address, '_blank');
  await sleep(1000);
  view.location = 'javascript:void(document.title = document.documentElement.outerHTML)';
  await sleep(300);
  const seen = await watch(() => inside(view), 300);
  view.close();
  return seen;
}

async function form(method, address, fields) {
  const name = `popup-${Math.random()}`;
  const view = window.open('about:blank', name);
  const element = document.createElement('form');
  Object.assign(element, { method, action: address, target: name });
  for (const [key, value] of Object.entries(fields)) {
    const input = document.createElement('input');
    Object.assign(input, { name: key, value });
    element.append(input);
  }
  document.body.append(element);
  element.submit();
  const seen = await watch(() => inside(view), 1200);
  view.close();
  element.remove();
  return seen;
}

// Data that runs as a script may tell something by how it fails.
function script(address) {
  return new Promise((done) => {
    const told = [];
    const note = (event) => told.push(event.message ?? event.type);
    addEventListener('error', note);
    const element = document.createElement('script');
    element.src = address;
    element.onload = element.onerror = () => {
      removeEventListener('error', note);
      done(`${told.join('\n')}\n${Object.keys(window).join(' ')}`);
    };
    document.body.append(element);
  });
}

function reader(address) {
  return new Promise((done) => {
    const told = [];
    const stream = new EventSource(address, { withCredentials: true });
    stream.onmessage = (event) => told.push(event.data);
    stream.onerror = () => { stream.close(); done(told.join('\n')); };
    setTimeout(() => { stream.close(); done(told.join('\n')); }, 1000);
  });
}

// Gives what each attempt could read. `prefix` is the service's; `pages` and `data` are below it.
async function attack(prefix, pages, data) {
  const results = {};
  const attempt = async (name, ask) => {
    try {
      results[name] = String(await ask());
    } catch (error) {
      results[name] = `${error.name}: ${error.message}`;
    }
  };
  // Windows take time to open, so all of them do it at once.
  await Promise.all([
    ...pages.map((path) => attempt(`window ${path}`, () => popup(prefix + path))),
    ...pages.map((path) => attempt(`script in a window ${path}`, () => scripted(prefix + path))),
    ...pages.map((path) => attempt(`form ${path}`, () => form('get', prefix + path, { from: '2026-01-01' }))),
    ...['iframe', 'object', 'embed'].flatMap((tag) =>
      pages.map((path) => attempt(`${tag} ${path}`, () => frame(tag, prefix + path)))),
  ]);
  await Promise.all(data.map((path) => popup(prefix + path)));
  for (const path of [...pages, ...data]) await asked(attempt, prefix, prefix + path);
  // Whatever is logged out is sent to the hub, which knows whoever looks.
  await attempt('fetch that is led through the login', () =>
    read(prefix, { credentials: 'include', headers: { Accept: 'text/html', 'X-Insights-Page': '' } }));
  await attempt('stream', () => reader(prefix));
  await attempt('cookies', () => at(prefix, async () => document.cookie));
  await attempt('caches', async () => String(await caches.keys()));
  await done(attempt, prefix);
  return results;
}

// By scripts, with all that a request can say. Windows have asked for the same before, so it may lie in the cache.
async function asked(attempt, prefix, address) {
  const html = { Accept: 'text/html' };
  const include = { credentials: 'include', headers: html };
  const forged = { ...include, referrer: prefix, referrerPolicy: 'unsafe-url' };
  await Promise.all([
    attempt(`cache alone ${address}`, () => read(address, { cache: 'only-if-cached', mode: 'same-origin' })),
    attempt(`cache ${address}`, () => read(address, { cache: 'force-cache', credentials: 'include' })),
    attempt(`fetch ${address}`, () => read(address, { ...include, cache: 'no-store' })),
    attempt(`fetch of data ${address}`, () => read(address, { credentials: 'include', cache: 'no-store' })),
    attempt(`fetch with a referrer of ours ${address}`, () => read(address, forged)),
    attempt(`fetch as a navigation ${address}`, () => read(new Request(address, { mode: 'navigate' }))),
    attempt(`XHR ${address}`, () => xhr(address)),
    attempt(`script ${address}`, () => script(address)),
    attempt(`fetch with a page token ${address}`, () =>
      read(address, { ...include, headers: { ...html, 'X-Insights-Page': 'null' }, redirect: 'manual' })),
  ]);
  await attempt(`fetch from an address of ours ${address}`, () => at(prefix, () => read(address, include)));
}

// What cannot be undone, in the name of whoever looks.
async function done(attempt, prefix) {
  const token = { page_token: 'null' };
  const sql = 'select "user" from sessions';
  const share = { ...token, report: 'groups', from: '2026-01-01', to: '2026-12-31', days: '30' };
  await Promise.all([
    attempt('POST of a share', () => form('post', `${prefix}shares`, share)),
    attempt('POST of an erasure', () => form('post', `${prefix}me/erasure`, token)),
    attempt('POST of SQL', () => form('post', `${prefix}api/v1/sql`, { ...token, sql })),
    attempt('POST of a logout', () => form('post', `${prefix}logout`, token)),
    attempt('fetch that posts SQL', () =>
      read(`${prefix}api/v1/sql`, { method: 'POST', credentials: 'include', body: new URLSearchParams({ ...token, sql }) })),
    attempt('fetch that posts SQL as JSON', () =>
      read(`${prefix}api/v1/sql`, { method: 'POST', credentials: 'include', body: JSON.stringify({ sql }) })),
  ]);
}

// A worker for all that lies below the prefix; gives when it is there.
async function employ(prefix, preload) {
  const script = new URL(`worker.js?preload=${preload ? 1 : 0}`, home).pathname + `?preload=${preload ? 1 : 0}`;
  const registration = await navigator.serviceWorker.register(script, { scope: prefix });
  for (let i = 0; i < 50 && !registration.active; i++) await sleep(100);
  await sleep(300);
  return registration.scope;
}
