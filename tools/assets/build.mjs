// Builds what the pages look like, once, at set-up: build/assets/ (style sheet, scripts, icons) and
// build/templates/ (the GOV.UK macros). Everything here comes out of npm and PyPI packages pinned by
// lockfile, plus our own sources in crates/web/assets/; crates/web/build.rs embeds the result.
//
//   node tools/assets/build.mjs            build if anything changed (a stamp makes a second run instant)
//   node tools/assets/build.mjs --force    build anyway

import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const own = join(root, 'crates/web/assets')
const modules = join(root, 'node_modules')
const out = join(root, 'build/assets')
const templates = join(root, 'build/templates')
const stamp = join(root, 'build/assets.stamp')
const started = Date.now()

const say = (words) => console.log(`assets: ${words}`)
const stop = (words) => {
  console.error(`assets: ${words}`)
  process.exit(1)
}

if (!existsSync(join(modules, 'govuk-frontend'))) stop('node_modules/ is missing or incomplete: run `npm ci` first')

/** The folder of the govuk-frontend-jinja templates inside the virtual environment. */
function jinjaTemplates() {
  const lib = join(root, '.venv/lib')
  for (const python of existsSync(lib) ? readdirSync(lib) : []) {
    const folder = join(lib, python, 'site-packages/govuk_frontend_jinja/templates')
    if (existsSync(folder)) return folder
  }
  return stop('govuk-frontend-jinja is missing: run `.venv/bin/pip install -r tools/assets/requirements.txt` first')
}

/** Every file below a folder, sorted, so that the stamp does not depend on the order of a listing. */
function files(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? files(join(folder, e.name)) : [join(folder, e.name)]))
    .sort()
}

const inputs = [
  join(root, 'package-lock.json'),
  join(root, 'tools/assets/requirements.txt'),
  fileURLToPath(import.meta.url),
  ...files(own),
]
const digest = createHash('sha256')
for (const file of inputs) digest.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0')
const wanted = digest.digest('hex')

const upToDate =
  existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && existsSync(join(out, 'app.css')) && existsSync(templates)
if (upToDate && !process.argv.includes('--force')) {
  say('up to date')
  process.exit(0)
}

// Built beside and moved into place, so that a build that fails half way leaves the old one standing.
const fresh = join(root, 'build/assets.new')
rmSync(fresh, { recursive: true, force: true })
mkdirSync(join(fresh, 'images'), { recursive: true })

say('compiling the style sheet')
const sass = await import('sass')
const compiled = sass.compile(join(own, 'app.scss'), {
  loadPaths: [root, modules],
  style: 'compressed',
  quietDeps: true,
  // What the packages say about their own use of one another is not ours to act on.
  logger: sass.Logger.silent,
  silenceDeprecations: ['import', 'if-function'],
})
// The crest and the Transport typeface belong to GOV.UK; this service uses neither. Icons are named
// relative to the style sheet, which is served below a folder named after everything in it.
const css = compiled.css
  .replace(/[^{}]*\{[^{}]*govuk-crest[^{}]*\}/g, '')
  .replace(/[^{}]*govuk-footer__crown[^{}]*\{[^{}]*\}/g, '')
  .replace(/url\((["']?)\/assets\//g, 'url($1')
for (const word of ['Transport', 'crest', 'crown', '@font-face']) {
  if (new RegExp(word, 'i').test(css)) stop(`the style sheet still mentions ${word}; it must not`)
}
writeFileSync(join(fresh, 'app.css'), css)

say('copying scripts and icons')
for (const [from, to] of [
  ['govuk-frontend/dist/govuk/govuk-frontend.min.js', 'govuk-frontend.min.js'],
  ['openseadragon/build/openseadragon/openseadragon.min.js', 'openseadragon.min.js'],
]) {
  const text = readFileSync(join(modules, from), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
  writeFileSync(join(fresh, to), text)
}
for (const [, icon] of css.matchAll(/url\(["']?images\/([\w.-]+)["']?\)/g)) {
  const from = join(modules, '@ministryofjustice/frontend/moj/assets/images', icon)
  if (!existsSync(from)) stop(`the style sheet names images/${icon}, which no package brings`)
  cpSync(from, join(fresh, 'images', icon))
}
for (const file of files(own)) {
  if (file.endsWith('.scss')) continue
  const to = join(fresh, relative(own, file))
  mkdirSync(dirname(to), { recursive: true })
  cpSync(file, to)
}

say('copying the GOV.UK macros')
const macros = join(root, 'build/templates.new')
rmSync(macros, { recursive: true, force: true })
// Not its page template: that carries the crown and an inline script; ours is templates/layout.html.
for (const folder of ['components', 'macros']) {
  cpSync(join(jinjaTemplates(), folder), join(macros, 'govuk_frontend_jinja', folder), { recursive: true })
}

for (const [from, to] of [[fresh, out], [macros, templates]]) {
  rmSync(to, { recursive: true, force: true })
  renameSync(from, to)
}
writeFileSync(stamp, wanted)
say(`${files(out).length} files, ${(css.length / 1024).toFixed(0)} KB of CSS, ${files(templates).length} macros, in ${((Date.now() - started) / 1000).toFixed(1)} s`)
