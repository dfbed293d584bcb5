// Drives the real server in a real browser. A test file says:
//
//   import { test } from 'node:test'
//   import { house } from './harness.mjs'
//
//   const h = house()                                  // starts the server before, stops it after
//   test('a caseworker sees their list', async () => {
//     const page = await h.as('Asha Verma')            // signed in, with scripts; h.as(name, { js: false }) without
//     await page.goto(h.url('/assess'))
//     await h.check(page, 'assess-list')               // axe, keyboard, pictures at two widths, console
//   })
//
// Environment: COUNTERSIGN_BIN  the server binary (default: the demo binary in target/debug),
//              COUNTERSIGN_ARGS its arguments, with {port} and {data} filled in,
//              CHROMIUM         the browser (default /usr/bin/chromium).

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const pictures = join(root, 'build/screenshots')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Seconds that the server may take to be ready: a demo prepares its data first. */
const READY_MAX_S = 180

/** Milliseconds after which a page or a control that has not come is a fault. */
const PAGE_MAX_MS = 45_000

/** The two widths at which every page is looked at. */
const WIDTHS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } }

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--font-render-hinting=none'
]

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/**
 * The server and the browser, for the tests of one file. `bin` and `args` as the environment variables.
 */
export function house({ bin, args } = {}) {
  const self = { contexts: [], base: '', log: '' }
  let server
  let browser
  let folder

  before(async () => {
    const port = await freePort()
    folder = mkdtempSync(join(tmpdir(), 'countersign-browser-'))
    const command = bin ?? process.env.COUNTERSIGN_BIN ?? join(root, 'target/debug/countersign')
    assert.ok(existsSync(command), `${command} does not exist: build it, or set COUNTERSIGN_BIN`)
    const words = (args ?? process.env.COUNTERSIGN_ARGS ?? 'demo --data {data} --listen 127.0.0.1:{port}')
      .split(/\s+/).filter(Boolean).map((w) => w.replace('{port}', port).replace('{data}', join(folder, 'data')))
    server = spawn(command, words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (d) => { self.log += d })
    self.base = `http://127.0.0.1:${port}`
    await ready(self, server)
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
    browser = await chromium.launch({ executablePath, headless: true, args: FLAGS })
  }, { timeout: (READY_MAX_S + 30) * 1000 })

  after(async () => {
    await browser?.close()
    if (server && server.exitCode === null) {
      const gone = new Promise((resolve) => server.once('exit', resolve))
      server.kill('SIGTERM')
      await gone
    }
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  /** The address of a path. */
  self.url = (path) => self.base + path

  /** A fresh browser for nobody. Anything it logs as an error fails the next `check`. */
  self.visitor = async ({ js = true } = {}) => {
    const context = await browser.newContext({ javaScriptEnabled: js, viewport: WIDTHS.desktop, reducedMotion: 'reduce' })
    const page = await context.newPage()
    page.setDefaultTimeout(PAGE_MAX_MS)
    page.scripts = js
    page.complaints = []
    page.on('console', (m) => {
      // The status of a refused form (422) is shown by Chromium as a console error; it is the page we want.
      if (m.type() === 'error' && !/status of 4\d\d/.test(m.text())) page.complaints.push(m.text())
    })
    page.on('pageerror', (e) => page.complaints.push(String(e)))
    page.on('requestfailed', (r) => {
      if (r.failure()?.errorText !== 'net::ERR_ABORTED') page.complaints.push(`${r.url()} ${r.failure()?.errorText}`)
    })
    page.on('request', (r) => {
      if (!r.url().startsWith(self.base) && !/^(data|blob):/.test(r.url())) page.complaints.push(`asked elsewhere: ${r.url()}`)
    })
    return page
  }

  /** A fresh browser in which a person of the demo is signed in, by (part of) their name. */
  self.as = async (name, options) => {
    const page = await self.visitor(options)
    await page.goto(self.url('/sign-in'))
    await page.getByRole('button', { name: new RegExp(`^Sign in as ${name}`) }).first().click()
    await page.waitForURL((url) => url.pathname !== '/sign-in')
    page.person = name
    return page
  }

  /** Presses the first button of a name. If there is none, says what the page says instead. */
  self.press = async (page, name) => {
    await page.getByRole('button', { name }).first().click().catch(async (e) => {
      throw new Error(`no button ${name} on ${page.url()}:\n${await page.locator('main').innerText()}`, { cause: e })
    })
  }

  /** Everything that must hold of every page, and its pictures if it has a name. */
  self.check = async (page, name, options = {}) => {
    for (const [width, size] of Object.entries(WIDTHS)) {
      await resize(page, size)
      if (page.scripts) await accessible(page, `${name} (${width})`)
      await fits(page, `${name} (${width})`)
      if (name) await picture(page, `${name}-${width}`)
    }
    await resize(page, WIDTHS.desktop)
    await titled(page)
    await known(page)
    if (options.keyboard !== false) await reachable(page, name)
    assert.deepEqual(page.complaints, [], `${name}: the console must stay empty`)
  }

  return self
}

async function ready(self, server) {
  for (let tries = 0; tries < READY_MAX_S * 5; tries++) {
    if (server.exitCode !== null) throw new Error(`the server ended before it was ready:\n${self.log.slice(-4000)}`)
    try {
      if ((await fetch(`${self.base}/health/ready`)).ok) return
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`the server was not ready after ${READY_MAX_S} seconds:\n${self.log.slice(-4000)}`)
}

/** Another width, and the scripts' answer to it (the menu button comes and goes). */
async function resize(page, size) {
  await page.setViewportSize(size)
  if (page.scripts) await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))))
}

/** axe-core finds nothing, best practices included. It is run outside the page's own security policy. */
async function accessible(page, name) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  }))
  // GOV.UK Frontend says of a radio or box that reveals a question whether it does so now (aria-expanded),
  // as its own documentation explains; axe knows the attribute on other roles only.
  const reveals = (v, n) => v.id === 'aria-allowed-attr' && /class="govuk-(radios|checkboxes)__input"/.test(n.html) &&
    n.any.concat(n.all).every((c) => JSON.stringify(c.data ?? '').replace(/aria-expanded=\\?"(true|false)\\?"/g, '').match(/aria-/) === null)
  for (const v of violations) v.nodes = v.nodes.filter((n) => !reveals(v, n))
  const found = violations.filter((v) => v.nodes.length > 0).map((v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => `    ${n.html.slice(0, 200)}\n    ${n.failureSummary}`).join('\n')}`)
  assert.deepEqual(found, [], `${name}: axe found\n${found.join('\n')}`)
}

/** Nothing makes the page scroll sideways. */
async function fits(page, name) {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
  assert.ok(wide <= seen, `${name}: the page is ${wide} px wide in a window of ${seen}`)
}

/** A picture for the repository: faces are of real people, so they are blurred in it, or there is no picture. */
async function picture(page, name) {
  const selector = 'img.face, .app-viewer canvas, .app-viewer img, svg image'
  // A constructed sheet, because the page's security policy refuses a style element, and rightly.
  const sharp = await page.evaluate((selector) => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(`:is(${selector}) { filter: blur(26px) !important }`)
    document.adoptedStyleSheets = [sheet]
    // Inside a drawing a pixel of blur is one of the drawing's own, which may be far smaller than one on the screen.
    for (const image of document.querySelectorAll('svg image')) {
      const drawing = image.ownerSVGElement
      const scale = drawing.viewBox.baseVal.width / (drawing.getBoundingClientRect().width || 1)
      image.style.setProperty('filter', `blur(${26 * Math.max(scale, 1)}px)`, 'important')
    }
    return [...document.querySelectorAll(selector)].filter((e) => !getComputedStyle(e).filter.includes('blur')).length
  }, selector)
  assert.equal(sharp, 0, `${name}: ${sharp} faces would be recognisable`)
  mkdirSync(pictures, { recursive: true })
  // What stays in sight while one scrolls would otherwise lie over the middle of a picture of the whole page.
  await page.evaluate(() => window.scrollTo(0, 0))
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true, animations: 'disabled' })
  await page.evaluate(() => {
    document.adoptedStyleSheets = []
    for (const image of document.querySelectorAll('svg image')) image.style.removeProperty('filter')
  })
}

/** The head of the page names whoever is signed in, and nobody else. */
async function known(page) {
  if (!page.person || await page.locator('.app-account').count() === 0) return
  assert.match(await page.locator('.app-account strong').innerText(), new RegExp(`^${page.person}`), 'who is signed in')
}

/** The title ends with the service's name, begins with "Error: " exactly when there is an error summary, whose links lead somewhere, and there is one h1. */
async function titled(page) {
  const title = await page.title()
  assert.match(title, / – Countersign$/)
  assert.equal(title.startsWith('Error: '), (await page.locator('.govuk-error-summary').count()) > 0, title)
  assert.equal(await page.locator('h1').count(), 1, `${title}: one h1`)
  const nowhere = await page.evaluate(() => [...document.querySelectorAll('.govuk-error-summary a[href^="#"]')]
    .map((a) => a.getAttribute('href')).filter((to) => !document.getElementById(to.slice(1))))
  assert.deepEqual(nowhere, [], `${title}: the error summary leads nowhere`)
}

/** Tab reaches every visible link, button and field, in the order of the page, and each shows that it is there. */
async function reachable(page, name) {
  const selector = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]'
  const wanted = await page.evaluate((selector) => {
    const groups = new Set()
    let n = 0
    for (const e of document.querySelectorAll(selector)) {
      const shown = e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0 && !e.closest('[inert]')
      // Tab stops once for a group of radios; the arrow keys go on from there.
      const group = e.type === 'radio' ? `${e.form?.action}|${e.name}` : null
      if (!shown || (group && groups.has(group))) continue
      if (group) groups.add(group)
      e.dataset.reach = group ?? String(n)
      n++
    }
    document.activeElement?.blur?.()
    window.getSelection()?.removeAllRanges()
    return n
  }, selector)
  const reached = new Set()
  const dull = []
  const hidden = []
  await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex') })
  for (let i = 0; i < wanted + 20 && reached.size < wanted; i++) {
    await page.keyboard.press('Tab')
    const at = await page.evaluate(() => {
      const e = document.activeElement
      if (!e || e === document.body) return null
      const key = e.dataset.reach ?? (e.type === 'radio' ? `${e.form?.action}|${e.name}` : null)
      const style = getComputedStyle(e)
      // GOV.UK draws the focus of a radio or a checkbox on the label's pseudo-element.
      const on = e.matches('.govuk-radios__input, .govuk-checkboxes__input') ? getComputedStyle(e.nextElementSibling, '::before') : style
      // Nothing that stays in sight while one scrolls may lie over what has the focus (WCAG 2.4.11).
      const box = e.getBoundingClientRect()
      const over = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 20))
      const seen = !over || e.contains(over) || over.contains(e) || e.labels?.length > 0 && [...e.labels].some((l) => l.contains(over)) || !over.closest('.app-compare--stay')
      const shows = on.outlineStyle !== 'none' || on.boxShadow !== 'none' || on.borderColor !== ''
      return { key, shows, seen, html: e.outerHTML.slice(0, 120) }
    })
    if (at?.key != null) reached.add(at.key)
    if (at && !at.shows) dull.push(at.html)
    if (at && !at.seen) hidden.push(at.html)
  }
  const missed = await page.evaluate((reached) => [...document.querySelectorAll('[data-reach]')]
    .filter((e) => !reached.includes(e.dataset.reach)).map((e) => e.outerHTML.slice(0, 160)), [...reached])
  assert.deepEqual(missed, [], `${name}: the Tab key does not reach these`)
  assert.deepEqual(dull, [], `${name}: these do not show that they have the focus`)
  assert.deepEqual(hidden, [], `${name}: these lie behind something when they have the focus`)
}
