// Follows every link of the built documentation to another page of it, and to the place on that page: `pnpm run docs` ends with it.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { root } from './packages';

const site = resolve(process.argv[2] ?? join(root, 'docs/site'));
const pages = readdirSync(site, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.html'))
  .map((file) => join(site, file));
const read = new Map(pages.map((page) => [page, readFileSync(page, 'utf8')]));

const broken: string[] = [];
let followed = 0;
for (const [page, html] of read) {
  for (const [, link] of html.matchAll(/ (?:href|src)="([^"]+)"/g)) {
    if (/^[a-z]+:/.test(link!)) continue;
    const [path = '', place] = link!.replaceAll('&amp;', '&').split('#');
    let target = path === '' ? page : resolve(dirname(page), decodeURI(path.replace(/\?.*$/, '')));
    if (existsSync(target) && statSync(target).isDirectory()) target = join(target, 'index.html');
    const there = existsSync(target) && (!place || !read.has(target) || hasPlace(read.get(target)!, place));
    if (!there) broken.push(`${relative(site, page)} → ${link}`);
    followed++;
  }
}
// A page that is linked and not among the site's documents is copied as it is.
for (const file of readdirSync(join(site, 'media'))) if (file.endsWith('.md')) broken.push(`media/${file} is no page`);
console.log(`${pages.length} pages, ${followed} links, ${broken.length} broken`);
for (const line of new Set(broken)) console.error(line);
process.exitCode = broken.length > 0 || followed === 0 ? 1 : 0;

function hasPlace(html: string, place: string): boolean {
  return html.includes(`id="${decodeURIComponent(place)}"`) || html.includes(`id="${place}"`);
}
