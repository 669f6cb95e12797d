// A user's service worker for pages that are not theirs: answers each with a page whose title holds all that could be
// read in its name.
'use strict';

const preloads = new URL(location.href).searchParams.get('preload') === '1';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil((async () => {
  if (preloads) await self.registration.navigationPreload.enable();
  await self.clients.claim();
})()));

async function all(event) {
  const told = [`worker of ${event.request.url}`];
  const note = async (what, ask) => {
    try {
      const reply = await ask();
      told.push(`${what}: ${reply ? `${reply.status} ${reply.url} ${await reply.text()}` : 'nothing'}`);
    } catch (error) {
      told.push(`${what}: ${error.name}`);
    }
  };
  if (preloads) await note('preload', () => event.preloadResponse);
  await note('the same', () => fetch(event.request.clone()));
  await note('a new one', () => fetch(event.request.url, { credentials: 'include', headers: event.request.headers }));
  return told.join('\n');
}

const escaped = (text) => text.replace(/[&<]/g, (letter) => `&#${letter.charCodeAt()};`);

self.addEventListener('fetch', (event) => {
  if (event.request.mode !== 'navigate') return;
  const page = async () => new Response(`<!doctype html><title>${escaped(await all(event))}</title>`, {
    headers: { 'Content-Type': 'text/html; charset=utf-8' },
  });
  event.respondWith(page());
});
