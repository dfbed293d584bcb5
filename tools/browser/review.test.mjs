// review: two examiners in real browsers. One works with scripts (the viewers), one without (images and
// links). Each takes the comparison up, gives blind opinions on every candidate, then informed conclusions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { house } from './harness.mjs'

const h = house({ args: process.env.COUNTERSIGN_ARGS ?? 'demo --synthetic 3000 --data {data} --listen 127.0.0.1:{port}' })

/** The request that was taken up last. */
let request

/** Takes up the first comparison that waits. */
async function takeUp(page, pictures) {
  await page.goto(h.url('/review'))
  if (pictures) await h.check(page, 'review-list')
  await page.getByRole('button', { name: /^Take up/ }).first().click()
  await page.getByRole('button', { name: 'Continue' }).click()
  assert.equal(await page.locator('.govuk-error-summary a').first().innerText(), 'Say whether you have a conflict of interest')
  if (pictures) await h.check(page, 'review-take-up')
  await page.getByLabel('No, I have none that I know of').check()
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('heading', { name: 'Your comparison' }).waitFor()
  request = new URL(page.url()).pathname.split('/')[2]
}

async function lock(page) {
  await page.getByRole('button', { name: 'Lock this opinion' }).click()
  await page.getByText(/Your visual opinion on candidate [A-J] is locked/).waitFor()
}

async function conclude(page, same, name) {
  await page.getByRole('link', { name: /^Give your conclusion/ }).first().click()
  assert.ok(await page.getByText('What the record holds on candidate').isVisible())
  if (name) {
    await page.getByRole('button', { name: 'Give this conclusion' }).click()
    await h.check(page, name)
  }
  await page.getByLabel(same ? 'Yes, I am satisfied' : 'No, or I am not satisfied').check()
  await page.getByLabel('Why? What do you confirm').fill('The record agrees with what I saw in the pictures.')
  await page.getByRole('button', { name: 'Give this conclusion' }).click()
  await page.getByText('Your conclusion is recorded.').waitFor()
}

test('an examiner with scripts', async () => {
  const page = await h.as('Mei Lin')
  await takeUp(page, true)
  await h.check(page, 'review-sheet')
  const sheet = page.url()
  const body = await page.locator('main').innerText()
  for (const word of ['score', 'rank', 'robbery', 'Northshire', 'minutes']) assert.ok(!body.toLowerCase().includes(word.toLowerCase()), `${word} on a blind page`)

  // The informed step does not open before every visual opinion is locked.
  const first = await page.getByRole('link', { name: /^Compare/ }).first().getAttribute('href')
  await page.goto(h.url(`${first}/informed`))
  assert.equal(page.url(), sheet)

  let n = 0
  while (await page.getByRole('link', { name: /^Compare/ }).count() > 0) {
    await page.getByRole('link', { name: /^Compare/ }).first().click()
    const synthetic = await page.getByText('Synthetic reference, no picture').count() > 0
    await page.locator('.app-viewer canvas').first().waitFor()
    if (n === 0) {
      await page.getByRole('button', { name: 'Check your opinion' }).click()
      const wrong = await page.locator('.govuk-error-summary a:not(.app-clause)').allInnerTexts()
      assert.equal(wrong.length, 2, wrong.join('; '))
      await page.locator('.app-viewer canvas').first().waitFor()
      await page.waitForTimeout(500)
    }
    if (!synthetic && n === 0) await tools(page)
    if (n === 0) await h.check(page, 'review-compare')
    await page.getByRole('group', { name: 'Nose' }).getByLabel('Alike', { exact: true }).check()
    await page.getByRole('group', { name: 'Ears' }).getByLabel('Not visible').check()
    await page.getByLabel(synthetic ? 'Cannot say' : 'Some support for the same person').check()
    await page.getByLabel('In your own words').fill('Nose and mouth agree in shape; the ears are covered by hair.')
    await page.getByRole('button', { name: 'Check your opinion' }).click()
    await page.getByRole('heading', { name: /Check your opinion/ }).waitFor()
    if (n === 0) await h.check(page, 'review-check')
    await page.getByRole('button', { name: 'Go back and change it' }).click()
    assert.equal(await page.getByLabel('In your own words').inputValue(), 'Nose and mouth agree in shape; the ears are covered by hair.')
    await page.getByRole('button', { name: 'Check your opinion' }).click()
    if (!synthetic && n === 0) assert.ok(await page.locator('dd li', { hasText: /brightness \+20 %/ }).first().isVisible(), 'what was done to the pictures goes with the opinion')
    await lock(page)
    n++
  }
  assert.ok(n > 0)
  await h.check(page, 'review-sheet-informed')
  for (let i = 0; i < n; i++) await conclude(page, i === 0, i === 0 ? 'review-informed' : null)
  await page.getByText('You have concluded on every candidate').waitFor()
  await h.check(page, 'review-done')
})

async function tools(page) {
  await page.getByRole('button', { name: 'Zoom in' }).click()
  await page.getByRole('button', { name: 'Grid' }).click()
  await page.getByRole('button', { name: 'Turn right' }).click()
  await page.getByLabel('Brightness').first().fill('20')
  for (const view of ['Swipe', 'Overlay', 'Blink', 'Side by side']) {
    await page.getByRole('button', { name: view, exact: true }).click()
    assert.equal(await page.getByRole('button', { name: view, exact: true }).getAttribute('aria-pressed'), 'true')
  }
  await page.waitForTimeout(900)
  await page.getByText(/What you did to the pictures/).click()
  const log = await page.locator('[data-compare-list] li').allInnerTexts()
  for (const part of [/^Image of the request: zoom \d+ %/, /^Held image: zoom \d+ %/, /Grid on/, /^Held image: turned 15°/, /brightness \+20 %/, /Swiped/, /Blinked/]) {
    assert.ok(log.some((l) => part.test(l)), `${part} is not in the log: ${log.join(' | ')}`)
  }
  const turned = await page.evaluate(() => [...document.querySelectorAll('.app-viewer canvas')].map((c) => c.style.filter))
  assert.ok(turned[0].includes('brightness(1.2)'), 'the first picture is brighter')
  // With the keyboard alone.
  await page.locator('.openseadragon-canvas').first().focus()
  await page.keyboard.press('ArrowLeft')
  await page.waitForTimeout(900)
  assert.ok((await page.locator('[data-compare-list] li').allInnerTexts()).some((l) => /the middle (?!50\.0 %)[\d.]+ % across/.test(l)), 'a movement is told with its place')
  await page.getByRole('button', { name: 'Reset' }).click()
  await page.waitForTimeout(700)
  assert.ok((await page.locator('[data-compare-list] li').allInnerTexts()).includes('Both reset'))
  await page.getByText(/What you did to the pictures/).click()
}

test('an examiner without scripts', async () => {
  const page = await h.as('Owen Clarke', { js: false })
  await takeUp(page, false)
  let n = 0
  while (await page.getByRole('link', { name: /^Compare/ }).count() > 0) {
    await page.getByRole('link', { name: /^Compare/ }).first().click()
    if (n === 0) {
      await page.getByLabel('In your own words').fill('Begun')
      await page.getByRole('button', { name: 'Keep what I have filled in' }).click()
      await page.getByText('Your answers so far are kept').waitFor()
      const plain = await bytes(page)
      await page.getByRole('link', { name: 'Zoom in (image of the request)' }).click()
      await page.getByRole('link', { name: 'Lighter (image of the request)' }).click()
      await page.getByRole('link', { name: 'Show a grid' }).click()
      assert.notDeepEqual(await bytes(page), plain, 'the server drew it anew')
      assert.equal(await page.getByLabel('In your own words').inputValue(), 'Begun', 'what was filled in is kept')
      assert.deepEqual(await page.locator('[data-compare-list] li').allTextContents(),
        ['Image of the request: zoom 150 %, the middle 50.0 % across and 50.0 % down', 'Image of the request: brightness +15 %, contrast +0 %', 'Grid on'])
      await h.check(page, 'review-compare-plain')
    }
    await page.getByRole('group', { name: 'Eyes and lids' }).getByLabel('Different', { exact: true }).check()
    await page.getByLabel('Some support for different people').check()
    await page.getByLabel('In your own words').fill('The eyes are set differently.')
    await page.getByRole('button', { name: 'Check your opinion' }).click()
    if (n === 0) assert.ok(await page.locator('dd li', { hasText: 'Image of the request: zoom 150 %' }).first().isVisible())
    await lock(page)
    n++
  }
  for (let i = 0; i < n; i++) await conclude(page, false)
  await page.getByText('You have concluded on every candidate').waitFor()
})

test('the team leader sees how they looked, and the same picture made again', async () => {
  const page = await h.as('Ruth Adeyemi', { js: false })
  await page.goto(h.url(`/report/requests/${request}/image-log`))
  assert.ok(await page.locator('li', { hasText: /zoom \d+ %/ }).count() > 0)
  await h.check(page, 'report-image-log')
  await page.getByRole('link', { name: /^Make the image of the request again/ }).first().click()
  await page.getByText('every byte is what was recorded').waitFor()
  assert.equal((await page.request.get(h.url(await page.locator('img.face').getAttribute('src')))).headers()['content-type'], 'image/jpeg')
  await h.check(page, 'report-made-again')
  // An examiner is let in to neither.
  const examiner = await h.as('Mei Lin', { js: false })
  const answer = await examiner.request.get(h.url(`/report/requests/${request}/image-log`))
  assert.ok(answer.status() >= 400)
})

/** The picture as the server sends it. */
async function bytes(page) {
  const src = await page.locator('img.face').first().getAttribute('src')
  const answer = await page.request.get(h.url(src))
  assert.equal(answer.headers()['content-type'], 'image/jpeg')
  return [...(await answer.body())]
}

test('a conflict of interest closes the door', async () => {
  const page = await h.as('Fatima Siddiqui', { js: false })
  await page.goto(h.url('/review'))
  if (await page.getByRole('button', { name: /^Take up/ }).count() === 0) return assert.ok(await page.getByText('Nothing waits for you').isVisible())
  await page.getByRole('button', { name: /^Take up/ }).first().click()
  await page.getByLabel('Yes', { exact: true }).check()
  await page.getByRole('button', { name: 'Continue' }).click()
  assert.equal(await page.locator('.govuk-error-summary a').first().innerText(), 'Say in a few words what the conflict is.')
  await page.getByLabel('If yes, what is it?').fill('The officer who asks is my brother.')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByText('You will not see this comparison again').waitFor()
  assert.equal(await page.getByRole('button', { name: /^Take up/ }).count(), 0)
})
