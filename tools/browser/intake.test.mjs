// The police side in a real browser: a form from nothing to sent, an approver, following a request,
// collecting an answer; a stale tab, a double submit, an ended session, bad files.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { house } from './harness.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const photographs = join(root, 'node_modules/@vladmandic/face-api/demo')
const photograph = join(photographs, 'sample3.jpg')
const h = house()

const SAM = 'Sam Okafor' // requester, Northshire
const TOM = 'Tom Reid' // requester and approver, Northshire
const HELEN = 'Helen Marsh' // approver, Northshire

const path = (page) => new URL(page.url()).pathname
const notice = (page) => page.locator('.govuk-notification-banner').first().innerText()
/** A page that does not come in good time is a fault, not a reason to wait. */
async function as(name, options) {
  const page = await h.as(name, options)
  page.setDefaultTimeout(10_000)
  return page
}
const press = (page, name) => page.getByRole('button', { name }).click()

async function begin(page) {
  await page.goto(h.url('/intake'))
  await press(page, 'Start a new request')
  await page.waitForURL(/\/intake\/drafts\/[0-9a-f-]+$/)
  return path(page)
}

/** Fills every section in, by the page's own labels. `look` sees each page after it was filled. */
async function fill(page, draft, { investigation, nationality = 'British', look = async () => {}, vulnerable = false, file = photograph, face = 2 }) {
  const section = (n) => page.goto(h.url(`${draft}/${n}`))
  const next = (words = 'Save and continue') => press(page, words)
  await section(1)
  await page.getByLabel('Investigation reference', { exact: true }).fill(investigation)
  await look(1)
  await next()
  await page.getByLabel(nationality, { exact: true }).check()
  await look(2)
  await next()
  await page.getByLabel('The prevention, investigation or prosecution of serious crime').check()
  await page.getByLabel('How would a search serve that purpose?').fill('A name would let us find him before he does it again.')
  await page.getByLabel('No, the person is unidentified').check()
  await look(3)
  await next()
  await page.getByLabel('What happened?').fill('A robbery at a cash machine.\nThe victim was pushed to the ground.')
  await page.getByRole('group', { name: /Limb \(a\)/ }).getByLabel('No').check()
  await page.getByRole('group', { name: /Limb \(b\), first half/ }).getByLabel('Yes').check()
  await page.getByLabel('Violence', { exact: true }).check()
  await page.getByLabel('How many people are affected, and how?').fill('One man; two like it that week.')
  await page.getByLabel('What harm was caused, or could be?').fill('A broken wrist.')
  await look(4)
  await next()
  await page.getByLabel('Image', { exact: true }).setInputFiles(file)
  await press(page, 'Upload')
  await page.getByText('The image was added.').waitFor()
  if (face) await page.getByLabel(new RegExp(`Face ${face} of`)).check()
  await page.getByRole('group', { name: /Where does image 1 come from/ }).getByLabel(/Not supervised/).check()
  await press(page, /^Save what you said/)
  await page.getByText('What you said about the image is saved.').waitFor()
  await look(5)
  await page.getByRole('button', { name: 'Continue', exact: true }).click()
  await page.getByLabel('What do you know about the person?').fill('About 30, local accent.')
  await look(6)
  await next()
  await page.getByLabel('Your own national and local databases').fill('Custody images: nothing.')
  await page.getByLabel('Other databases available to you').fill('PND: nothing.')
  await page.getByLabel('Other enquiries', { exact: true }).fill('House to house: nothing.')
  await look(7)
  await next()
  await page.getByLabel(vulnerable ? 'Yes' : 'No', { exact: true }).check()
  if (vulnerable) await page.getByLabel('Why may they be vulnerable?').fill('May have fled domestic abuse under a new name.')
  await look(8)
  await next()
  await page.getByRole('group', { name: 'Is the request urgent?' }).getByLabel('No').check()
  for (const box of await page.locator('input[name=declarations]').all()) await box.check()
  await look(9)
  await next('Save and check your answers')
  await page.waitForURL(/\/check$/)
}

/** A request that waits for an approver: its path. */
async function waiting(page, options) {
  const draft = await begin(page)
  await fill(page, draft, options)
  await press(page, 'Send to an approver')
  await page.waitForURL(/\/sent$/)
  return path(page).replace(/\/sent$/, '')
}

test('a requester fills a form in, section by section', async () => {
  const page = await as(SAM)
  await page.goto(h.url('/intake'))
  await h.check(page, 'intake-home')
  const draft = await begin(page)
  await h.check(page, 'intake-tasks')
  assert.equal(await page.getByText('Not started').count(), 8)
  assert.match(await page.locator('main').innerText(), /our own reconstruction/)

  // Everything missing is listed, with links, and nothing can be sent.
  await page.goto(h.url(`${draft}/check`))
  assert.match(await page.locator('main').innerText(), /\d+ things are missing/)
  assert.equal(await page.getByRole('button', { name: 'Send to an approver' }).count(), 0)
  await h.check(page, 'intake-check-missing')
  await page.getByRole('link', { name: /^Answer section 8/ }).click()
  assert.equal(path(page), `${draft}/8`)

  await fill(page, draft, {
    investigation: 'NS/2026/0901',
    look: async (n) => { if (n !== 5) await h.check(page, `intake-section-${n}`) }
  })
  const said = await page.locator('main').innerText()
  assert.match(said, /met by limb \(b\)/)
  assert.match(said, /Face 2 of \d+ \(second from the left\)/)
  await h.check(page, 'intake-check')

  // A second click, and a second copy of the same form, send it once.
  const form = await page.locator('form[action$="/send"]').evaluate((f) => Object.fromEntries(new FormData(f)))
  await press(page, 'Send to an approver')
  await page.waitForURL(/\/sent$/)
  const reference = await page.locator('.govuk-panel strong').innerText()
  await h.check(page, 'intake-sent')
  const twice = await page.request.post(h.url(`${draft}/send`), { form, maxRedirects: 0, headers: { origin: h.base } })
  assert.equal(twice.status(), 303)
  assert.equal(new URL(twice.headers().location, h.base).pathname, path(page))
  await page.goto(h.url('/intake?state=awaiting-approval'))
  assert.equal(await page.getByRole('link', { name: reference }).count(), 1)

  // An old tab of the draft leads to the request.
  await page.goto(h.url(draft))
  assert.match(path(page), /\/intake\/requests\//)
  assert.match(await notice(page), /already sent/)
  await h.check(page, 'intake-tracker')
  for (const tab of ['The form', 'History']) {
    await page.getByRole('link', { name: tab, exact: true }).click()
    await h.check(page, `intake-${tab.toLowerCase().replace(' ', '-')}`)
  }
})

test('images: bad files are explained, faces are chosen, an image is removed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-files-'))
  const text = join(folder, 'notes.jpg')
  writeFileSync(text, 'this is not a picture')
  const half = join(folder, 'half.jpg')
  writeFileSync(half, readFileSync(photograph).subarray(0, 4000))
  const page = await as(SAM)
  const draft = await begin(page)
  await page.goto(h.url(`${draft}/1`))
  await page.getByLabel('Investigation reference', { exact: true }).fill('NS/2026/0902')
  await press(page, 'Save and come back later')
  await page.goto(h.url(`${draft}/5`))
  await press(page, 'Upload')
  assert.match(await page.locator('.govuk-error-summary').innerText(), /Choose an image/)
  for (const bad of [text, half]) {
    await page.getByLabel('Image', { exact: true }).setInputFiles(bad)
    await press(page, 'Upload')
    await page.locator('.govuk-error-summary').waitFor()
  }
  await h.check(page, 'intake-image-refused')
  await page.getByLabel('Image', { exact: true }).setInputFiles(photograph)
  await press(page, 'Upload')
  await page.getByText('The image was added.').waitFor()
  const faces = await page.locator('input[name=face]').count()
  assert.ok(faces > 1, `${faces} faces`)
  assert.equal(await page.locator('svg text').count(), faces, 'each face is numbered on the picture')
  assert.match(await page.locator('main').innerText(), /Choose a face/)
  await page.getByLabel(/Face 1 of/).check()
  await press(page, /^Save what you said/)
  // What is fine is folded away, and nothing that was measured is left out.
  await page.getByText(/^What is fine \(\d+\)/).click()
  assert.match(await page.locator('main').innerText(), /Distance between the eyes\.[^]*pixels between the eyes/)
  await h.check(page, 'intake-section-5')
  // The picture is for its owner and for this moment only.
  const src = await page.locator('svg image').getAttribute('href')
  const picture = await page.request.get(h.url(src))
  assert.deepEqual([picture.status(), picture.headers()['content-type'], picture.headers()['cache-control']], [200, 'image/jpeg', 'no-store'])
  const other = await as(HELEN)
  assert.notEqual((await other.request.get(h.url(src))).status(), 200)
  // The same image twice.
  await page.getByLabel('Image', { exact: true }).setInputFiles(photograph)
  await press(page, 'Upload')
  assert.match(await page.locator('.govuk-error-summary').innerText(), /already on the form/)
  await page.getByRole('link', { name: 'Remove image 1' }).click()
  await h.check(page, 'intake-remove-image')
  await press(page, 'Remove the image')
  assert.equal(await page.locator('svg image').count(), 0)
  await page.goto(h.url(draft))
  assert.match(await page.locator('main').innerText(), /1\. Investigation\s+Completed[^]*5\. Images\s+Not started/)
  await page.getByRole('link', { name: 'Discard this draft' }).click()
  await press(page, 'Discard the draft')
  assert.equal((await page.goto(h.url(draft))).status(), 404)
})

/** One face of a photograph, at so many pixels a side and as a poor JPEG. */
async function poor(page, side) {
  const blank = await page.context().newPage()
  await blank.setContent(`<img src="data:image/jpeg;base64,${readFileSync(photograph).toString('base64')}">`)
  const bytes = await blank.evaluate(async (side) => {
    const img = document.querySelector('img')
    await img.decode()
    const canvas = Object.assign(document.createElement('canvas'), { width: side, height: side })
    // About the second of the three faces.
    canvas.getContext('2d').drawImage(img, 950, 140, 420, 420, 0, 0, side, side)
    return canvas.toDataURL('image/jpeg', 0.3).split(',')[1]
  }, side)
  await blank.close()
  return Buffer.from(bytes, 'base64')
}

test('an image that is too small says at once what is needed, first and in words', async () => {
  const page = await as(SAM)
  const draft = await begin(page)
  await page.goto(h.url(`${draft}/5`))
  await page.getByLabel('Image', { exact: true }).setInputFiles({ name: 'small.jpg', mimeType: 'image/jpeg', buffer: await poor(page, 84) })
  await press(page, 'Upload')
  await page.getByText('The image was added.').waitFor()
  const said = await page.locator('main').innerText()
  assert.match(said, /Not usable\s+As it is, this image cannot be searched/i)
  assert.match(said, /The face is \d+(\.\d)? pixels between the eyes; 60 or more are needed\. Use the original picture/)
  assert.match(await page.locator('.app-findings li').first().innerText(), /Not usable/i, 'the worst comes first')
  await h.check(page, 'intake-image-too-small')
  await page.goto(h.url(draft))
  await page.getByRole('link', { name: 'Discard this draft' }).click()
  await press(page, 'Discard the draft')
})

/** A JPEG with an XMP packet that says it was generated. */
function generated(jpeg) {
  const packet = '<x xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" i:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
  const held = Buffer.from(`http://ns.adobe.com/xap/1.0/\0${packet}`)
  const head = Buffer.from([0xff, 0xe1, (held.length + 2) >> 8, (held.length + 2) & 255])
  return Buffer.concat([jpeg.subarray(0, 2), head, held, jpeg.subarray(2)])
}

test('an image that may have been generated is flagged, with the reason, and taken in', async () => {
  const page = await as(SAM)
  const draft = await begin(page)
  await page.goto(h.url(`${draft}/5`))
  await page.getByLabel('Image', { exact: true }).setInputFiles({ name: 'made.jpg', mimeType: 'image/jpeg', buffer: generated(await poor(page, 420)) })
  await press(page, 'Upload')
  await page.getByText('The image was added.').waitFor()
  const said = await page.locator('main').innerText()
  assert.match(said, /Look closer\s+This image may not be of a real person\. The file says of itself that it was generated/i)
  assert.match(said, /A reason to look closer, not a finding/)
  assert.doesNotMatch(said, /this image cannot be searched/)
  await h.check(page, 'intake-image-flagged')
  await page.goto(h.url(draft))
  await page.getByRole('link', { name: 'Discard this draft' }).click()
  await press(page, 'Discard the draft')
})

test('fingerprints come before everything else', async () => {
  const page = await as(SAM)
  const draft = await begin(page)
  await page.goto(h.url(`${draft}/2`))
  await page.getByLabel('A foreign national').check()
  await page.getByRole('group', { name: /Do you hold/ }).getByLabel('Yes').check()
  await page.getByLabel('It has not been run yet').check()
  await press(page, 'Save and continue')
  assert.equal(path(page), draft, 'the next section is shut, so it goes back to the list')
  assert.equal(await page.getByText('Cannot start yet', { exact: true }).count(), 7)
  await h.check(page, 'intake-fingerprints-first')
  await page.goto(h.url(`${draft}/3`))
  await h.check(page, 'intake-section-shut')
  await page.goto(h.url(`${draft}/2`))
  await page.getByLabel('It did not identify the person').check()
  await press(page, 'Save and come back later')
  assert.equal(await page.getByText('Cannot start yet', { exact: true }).count(), 0)
})

test('the serious-crime test says why it is not met', async () => {
  const page = await as(SAM)
  const draft = await begin(page)
  await page.goto(h.url(`${draft}/3`))
  await page.getByLabel('The prevention, investigation or prosecution of serious crime').check()
  await press(page, 'Save and continue')
  await page.getByRole('group', { name: /Limb \(a\)/ }).getByLabel('No').check()
  await page.getByRole('group', { name: /Limb \(b\), first half/ }).getByLabel('No').check()
  await page.getByLabel('Grooming').check()
  await press(page, 'Save and see which limb is met')
  assert.equal(path(page), `${draft}/4`)
  const said = await page.locator('main').innerText()
  assert.match(said, /limb \(b\) is not met: it would not normally be capable of a sentence of at least 2 years/)
  assert.doesNotMatch(said, /involves no violence/)
  assert.match(await notice(page), /things are still needed/)
  await h.check(page, 'intake-crime-not-met')
})

for (const js of [true, false]) {
  test(`an old tab and an ended session lose nothing, ${js ? 'with' : 'without'} scripts`, async () => {
    const page = await as(SAM, { js })
    const draft = await begin(page)
    const other = await page.context().newPage()
    await other.goto(h.url(`${draft}/6`))
    await page.goto(h.url(`${draft}/6`))
    await page.getByLabel('What do you know about the person?').fill('Saved first')
    await press(page, 'Save and come back later')
    await other.getByLabel('What do you know about the person?').fill('Typed in the old tab')
    const [answer] = await Promise.all([other.waitForResponse((r) => r.request().method() === 'POST'), press(other, 'Save and come back later')])
    assert.equal(answer.status(), 409)
    assert.equal(await other.getByLabel('What do you know about the person?').inputValue(), 'Typed in the old tab')
    assert.match(await other.locator('main').innerText(), /Saved first/)
    if (js) await h.check(Object.assign(other, { scripts: true, complaints: [] }), 'intake-stale-tab')
    await press(other, 'Save and come back later')
    await other.goto(h.url(`${draft}/6`))
    assert.equal(await other.getByLabel('What do you know about the person?').inputValue(), 'Typed in the old tab')

    await other.goto(h.url(`${draft}/7`))
    await other.getByLabel('Other enquiries', { exact: true }).fill('Typed before the session ended')
    await other.context().clearCookies()
    await press(other, 'Save and come back later')
    await other.getByText('It has been kept').waitFor()
    await other.getByRole('button', { name: new RegExp(`^Sign in as ${SAM}`) }).click()
    await other.getByText('Typed before the session ended').waitFor()
    await press(other, 'Send it now')
    await other.goto(h.url(`${draft}/7`))
    assert.equal(await other.getByLabel('Other enquiries', { exact: true }).inputValue(), 'Typed before the session ended')
  })
}

test('an image that arrives after the session has ended is not read, and is asked for again', async () => {
  const page = await as(SAM, { js: false })
  const draft = await begin(page)
  await page.goto(h.url(`${draft}/5`))
  await page.getByLabel('Image', { exact: true }).setInputFiles({ name: 'large.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(20 << 20, 7) })
  await page.context().clearCookies()
  await press(page, 'Upload')
  await page.getByText('Your session ended before your images were sent.').waitFor()
  await h.check(page, 'intake-images-unsent')
  await page.getByRole('button', { name: new RegExp(`^Sign in as ${SAM}`) }).click()
  await page.waitForURL((url) => url.pathname === `${draft}/5`)
})

test('unsure makes a linked pair, without scripts', async () => {
  const page = await as(SAM, { js: false })
  const request = await waiting(page, { investigation: 'NS/2026/0903', nationality: 'I am unsure' })
  assert.equal(await page.locator('.govuk-panel strong').count(), 2, 'two references')
  await h.check(page, 'intake-sent-pair')
  await page.goto(h.url(request))
  assert.match(await page.locator('main').innerText(), /Linked request/)
  await page.goto(h.url(`${request}/withdraw`))
  await press(page, 'Withdraw the request')
  assert.match(await page.locator('.govuk-error-summary').innerText(), /Say why/)
  await page.getByLabel('Why are you withdrawing it?').fill('He was found.')
  await h.check(page, 'intake-withdraw')
  await press(page, 'Withdraw the request')
  assert.match(await notice(page), /withdrawn/)
  assert.equal(await page.getByText('Will not happen').count(), 4)
})

test('an approver returns a request, it is changed, and is approved', async () => {
  const sam = await as(SAM)
  const request = await waiting(sam, { investigation: 'NS/2026/0904', vulnerable: true })
  const id = request.split('/').pop()
  const helen = await as(HELEN)
  await h.check(helen, 'approval-queue')
  await helen.goto(h.url(`/intake/approval/${id}`))
  assert.match(await helen.locator('main').innerText(), /Inspector/)
  assert.match(await helen.locator('main').innerText(), /may be vulnerable/)
  await h.check(helen, 'approval-request')
  await helen.getByRole('button', { name: 'Return with reasons' }).click()
  await press(helen, 'Return it')
  assert.match(await helen.locator('.govuk-error-summary').innerText(), /Say why/)
  await helen.getByLabel('Why are you returning it?').fill('Say what the house-to-house enquiries brought.')
  await press(helen, 'Return it')
  assert.match(await notice(helen), /You returned/)

  await sam.goto(h.url(request))
  assert.match(await sam.locator('main').innerText(), /Say what the house-to-house/)
  await h.check(sam, 'intake-returned')
  await press(sam, 'Edit and send again')
  assert.match(await notice(sam), /returned this request/)
  await h.check(sam, 'intake-tasks-returned')
  await sam.goto(h.url(`${path(sam)}/check`))
  await press(sam, 'Send to an approver')
  await sam.waitForURL(/\/sent$/)

  await helen.goto(h.url(`/intake/approval/${id}`))
  await helen.getByRole('button', { name: 'Approve', exact: true }).click()
  await h.check(helen, 'approval-confirm')
  await press(helen, 'Approve and submit')
  assert.match(await notice(helen), /has been received/)
  await sam.goto(h.url(request))
  assert.match(await sam.locator('main').innerText(), /waits for a caseworker/i)
})

test('nobody approves their own request, and a question to the force is answered', async () => {
  const tom = await as(TOM)
  const request = await waiting(tom, { investigation: 'NS/2026/0905' })
  const id = request.split('/').pop()
  await tom.goto(h.url(`/intake/approval/${id}`))
  assert.match(await tom.locator('main').innerText(), /a different person from the requester/)
  assert.equal(await tom.getByRole('button', { name: 'Approve', exact: true }).count(), 0)
  await h.check(tom, 'approval-own')

  const helen = await as(HELEN)
  await helen.goto(h.url(`/intake/approval/${id}/approve`))
  await press(helen, 'Approve and submit')
  const asha = await as('Asha Verma') // caseworker, passport gallery
  await asha.goto(h.url(`/assess/${id}`))
  await asha.getByLabel('No, I have none').check()
  await press(asha, 'Continue')
  await asha.goto(h.url(`/assess/${id}/clarify`))
  await asha.getByLabel('Your question').fill('Was he seen at the counter, or only outside?')
  await press(asha, 'Send the question')
  await tom.goto(h.url(request))
  assert.match(await tom.locator('main').innerText(), /Was he seen at the counter/)
  await h.check(tom, 'intake-question')
  await tom.getByRole('button', { name: 'Answer the question' }).click()
  await tom.getByLabel('Your answer').fill('Only outside.')
  await h.check(tom, 'intake-clarification')
  await press(tom, 'Send')
  assert.match(await notice(tom), /Your answer was sent/)
  assert.match(await tom.locator('main').innerText(), /Only outside\./)
})

test('a rejected request: everything that was missing, a copy, a review, and a flag', async () => {
  const page = await as(SAM)
  await page.goto(h.url('/intake?state=rejected'))
  await page.locator('section[aria-labelledby=requests] table a').first().click()
  await h.check(page, 'intake-rejected')
  const request = path(page)
  await page.getByRole('link', { name: 'Ask for a review' }).click()
  await page.getByLabel('Your reasons').fill('Everything asked was on the form.')
  await h.check(page, 'intake-review')
  await press(page, 'Ask for a review')
  assert.match(await page.locator('main').innerText(), /leader of the team that decided is looking at it/)
  await press(page, 'Copy into a new form')
  await page.waitForURL(/\/intake\/drafts\//)
  assert.match(await page.locator('main').innerText(), /copied from/)
  await page.goto(h.url(`${request}/vulnerable`))
  await h.check(page, 'intake-vulnerable')
})

test('answers are opened knowingly, and read', async () => {
  const seen = []
  for (const name of [SAM, TOM]) {
    const page = await as(name)
    await page.getByRole('link', { name: 'Respond' }).click()
    if (name === SAM) await h.check(page, 'answers')
    for (const link of await page.locator('main table a').evaluateAll((all) => all.map((a) => a.getAttribute('href')))) {
      await page.goto(h.url(link))
      const open = page.getByRole('button', { name: 'Open the answer' })
      if (await open.count()) {
        await h.check(page, 'answer-open')
        seen.push('unopened')
        await open.click()
      }
      const said = await page.locator('main').innerText()
      const kind = /Two members of staff confirmed/.test(said) ? 'match' : /: declined/.test(said) ? 'declined' : 'other'
      if (!seen.includes(kind)) await h.check(page, `answer-${kind}`)
      if (kind === 'match') assert.match(said, /Use this only for the purpose/)
      seen.push(kind)
      // Nobody else in the force can open it (V2).
      const other = await as(HELEN)
      assert.notEqual((await other.request.get(h.url(link), { maxRedirects: 0 })).status(), 200, 'it leads elsewhere or is not found')
    }
  }
  assert.ok(['match', 'declined', 'unopened'].every((kind) => seen.includes(kind)), seen.join())
})

test('an answer found to be sensitive is passed on only by leave', async () => {
  const page = await as(SAM)
  await page.goto(h.url('/respond/answers'))
  await page.locator('main table a').first().click()
  const answer = path(page)
  await page.getByRole('link', { name: 'Say that the person may be vulnerable' }).click()
  await page.getByLabel('Why may the person be vulnerable?').fill('She told us that she fled under a new name.')
  await press(page, 'Flag as vulnerable')
  assert.match(await notice(page), /handled as sensitive/)
  await page.goto(h.url(answer))
  assert.match(await page.locator('main').innerText(), /may not pass it on to anybody/)
  await page.getByRole('link', { name: 'Ask to pass it on' }).click()
  await press(page, 'Ask')
  assert.match(await page.locator('.govuk-error-summary').innerText(), /with whom/)
  await page.getByLabel('Who needs it?').fill('DS Lee Park, Westshire Police')
  await page.getByLabel('Why do they need it?').fill('They protect her now.')
  await h.check(page, 'answer-onward')
  await press(page, 'Ask')
  assert.match(await page.locator('main').innerText(), /Waiting for our answer/)
  await h.check(page, 'answer-sensitive')
})
