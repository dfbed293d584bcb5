// Runs the browser tests, which leave a picture of every page in build/screenshots with faces blurred,
// and keeps the top of a few of them in docs/images for the documentation.  `--keep` skips the tests.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')

/** Picture in build/screenshots → name in docs/images, its height and where it begins, in pixels. */
const KEPT = [
  ['review-compare-desktop', 'compare-desktop', 1000, 440],
  ['intake-section-5-desktop', 'intake-image-desktop', 1250, 420],
  ['assess-list-desktop', 'assess-list-desktop', 800, 0],
  ['answer-match-phone', 'answer-phone', 844, 0],
  ['report-desktop', 'report-desktop', 1000, 0]
]

if (!process.argv.includes('--keep')) {
  const tests = readdirSync(here).filter((f) => f.endsWith('.test.mjs')).map((f) => join(here, f))
  const run = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...tests], { cwd: root, stdio: 'inherit' })
  if (run.status !== 0) process.exit(run.status ?? 1)
}

mkdirSync(join(root, 'docs/images'), { recursive: true })
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
const page = await browser.newPage()
for (const [from, to, height, top] of KEPT) {
  const picture = readFileSync(join(root, `build/screenshots/${from}.png`)).toString('base64')
  await page.setViewportSize({ width: from.endsWith('phone') ? 390 : 1280, height })
  await page.setContent(`<body style="margin:-${top}px 0 0"><img src="data:image/png;base64,${picture}">`)
  await page.locator('img').evaluate((img) => img.decode())
  await page.screenshot({ path: join(root, `docs/images/${to}.png`) })
  console.log(`docs/images/${to}.png`)
}
await browser.close()
