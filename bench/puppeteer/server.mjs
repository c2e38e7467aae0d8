// A PDF server as people write it around puppeteer: one browser for the process, a new page for every request.
//
// Environment: PORT, CHROMIUM (executable), HEADLESS ("shell" for the headless shell, "new" for the full browser),
// DOCUMENTS (a folder; its `x.html` is printed by `POST /pdf/x`).
// `POST /pdf-reused/x` is what a careful user may arrive at: one page, kept, one request at a time.
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import puppeteer from 'puppeteer-core';

const { PORT, CHROMIUM, HEADLESS = 'shell', DOCUMENTS } = process.env;

const documents = new Map(
  readdirSync(DOCUMENTS)
    .filter((name) => name.endsWith('.html'))
    .map((name) => [basename(name, '.html'), readFileSync(join(DOCUMENTS, name), 'utf8')]),
);

const browser = await puppeteer.launch({
  executablePath: CHROMIUM,
  headless: HEADLESS === 'shell' ? 'shell' : true,
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});

const options = { preferCSSPageSize: true, printBackground: true };

async function printInNewPage(html) {
  const page = await browser.newPage();
  try {
    await page.setContent(html, { waitUntil: 'load' });
    return await page.pdf(options);
  } finally {
    await page.close();
  }
}

const keptPage = await browser.newPage();
let turn = Promise.resolve();
function printInKeptPage(html) {
  const mine = turn.then(async () => {
    await keptPage.setContent(html, { waitUntil: 'load' });
    return keptPage.pdf(options);
  });
  turn = mine.catch(() => {});
  return mine;
}

const server = createServer(async (request, response) => {
  try {
    for await (const _ of request); // the body holds nothing; the template is "stored"
    const [, way, name] = request.url.split('/');
    if (way === 'health') return response.writeHead(200, { 'content-length': 0 }).end();
    const html = documents.get(name);
    if (html === undefined) return response.writeHead(404, { 'content-length': 0 }).end();
    const pdf = way === 'pdf-reused' ? await printInKeptPage(html) : await printInNewPage(html);
    response.writeHead(200, { 'content-type': 'application/pdf', 'content-length': pdf.length });
    response.end(pdf);
  } catch (error) {
    const said = Buffer.from(String(error));
    response.writeHead(500, { 'content-length': said.length }).end(said);
  }
});
server.listen(Number(PORT), '127.0.0.1');

async function stop() {
  server.close();
  await browser.close();
  process.exit(0);
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
