// What happens to a comparison when it does not go smoothly: two examiners differ and a third is asked, an
// examiner recognises somebody, somebody may be vulnerable, the session ends over an opinion, nobody was found.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { examined, hand, searched, submitted, taken, takenUp } from './by-hand.mjs'
import { house } from './harness.mjs'

const h = house({ args: process.env.COUNTERSIGN_ARGS ?? 'demo --synthetic 500 --data {data} --listen 127.0.0.1:{port}' })

const { press } = h
const summary = (page) => page.locator('.govuk-error-summary__list li').allInnerTexts()
const said = (page) => page.locator('main').innerText()
const notice = (page) => page.locator('.govuk-notification-banner').first().innerText()

/** A request being compared: its id, and the hand of the caseworker who holds it. */
async function compared(investigation, options = {}) {
  const id = await submitted(h, { investigation, ...options })
  const asha = await taken(h, id)
  await searched(asha, id)
  return { id, asha, reference: (await asha.read(`/search/${id}`)).match(/FIS-[0-9A-F]{4}-[0-9A-F]{4}/)[0] }
}

/** Takes up one comparison by its reference. */
async function takeUp(page, reference) {
  await page.goto(h.url('/review'))
  await page.getByRole('button', { name: `Take up ${reference}` }).click()
  await page.getByLabel('No, I have none that I know of').check()
  await press(page, 'Continue')
  await page.getByRole('heading', { name: 'Your comparison' }).waitFor()
}

async function opinion(page, conclusion, words) {
  await page.getByRole('group', { name: 'Nose' }).getByLabel(/different/i.test(conclusion) ? 'Different' : 'Alike', { exact: true }).check()
  await page.getByLabel(conclusion).check()
  await page.getByLabel('In your own words').fill(words)
}

/** What a page holds, without its frame. */
const main = ({ html }) => html.match(/<main[\s\S]*<\/main>/)[0]

for (const js of [true, false]) {
  test(`two examiners differ: a third, as blind as they were, settles it ${js ? 'with' : 'without'} scripts`, async () => {
    const { id, asha, reference } = await compared(js ? 'NS/2026/0701' : 'NS/2026/0702')
    const picture = (name) => (js ? name : null)
    const lin = await hand(h, 'Mei Lin')
    const [sheet] = await takenUp(lin, id)
    await lin.get(sheet) // and its notice, which is shown once
    const first = main(await lin.get(sheet))
    await examined(lin, id, true)
    await asha.get(`/search/${id}`)
    const told = main(await asha.get(`/search/${id}`))
    await examined(await hand(h, 'Owen Clarke'), id, false)
    // They differ now. Nobody is told: not the one who holds the request, not the two.
    assert.equal(main(await asha.get(`/search/${id}`)), told)
    assert.doesNotMatch(await lin.read('/review'), /differ|third|adjudicat|match/i)

    const page = await h.as('Daniel Price', { js })
    await takeUp(page, reference)
    assert.equal(main(await (await hand(h, 'Daniel Price')).get(sheet)), first, 'what the first examiner read here, byte for byte')
    await h.check(page, picture('examiners-third-sheet'), { keyboard: js })
    await page.getByRole('link', { name: /^Compare/ }).click()
    await opinion(page, js ? 'Strong support for the same person' : 'Strong support for different people', 'Looked at part by part.')
    await press(page, 'Check your opinion')
    await press(page, 'Lock this opinion')
    await page.getByRole('link', { name: /^Give your conclusion/ }).click()
    await page.getByLabel(js ? 'Yes, I am satisfied' : 'No, or I am not satisfied').check()
    await page.getByLabel('Why? What do you confirm').fill('The record agrees with what I saw.')
    await h.check(page, picture('examiners-third-informed'), { keyboard: false })
    assert.doesNotMatch(await said(page), /third|adjudicat|differ(ed)? from|score|rank/i)
    assert.match(await said(page), /3 March 1972/, 'dates in words')
    await press(page, 'Give this conclusion')
    await page.getByText('You have concluded on every candidate').waitFor()

    // Two of three agree, and only now is anything told.
    const holder = await h.as('Asha Verma', { js })
    await holder.goto(h.url(`/search/${id}`))
    assert.match(await said(holder), js ? /Candidate 1: Match confirmed by 2 examiners/i : /Candidate 1: No match/i)
    await h.check(holder, picture('examiners-settled'), { keyboard: js })
    await holder.goto(h.url(`/assess/${id}/history`))
    assert.match(await said(holder), /third|differ/i, 'the history says that they differed')
    await h.check(holder, picture('examiners-settled-history'), { keyboard: false })
  })

  test(`an examiner recognises somebody in the middle of a comparison ${js ? 'with' : 'without'} scripts`, async () => {
    const { id, reference } = await compared(js ? 'NS/2026/0703' : 'NS/2026/0704')
    const page = await h.as('Mei Lin', { js })
    await takeUp(page, reference)
    const sheet = page.url()
    await page.getByRole('link', { name: /^Compare/ }).click()
    await opinion(page, 'Some support for the same person', 'The nose and the jaw.')
    await press(page, 'Check your opinion')
    await press(page, 'Lock this opinion')
    await page.getByRole('link', { name: 'Stop and declare it' }).click()
    await h.check(page, js ? 'examiners-conflict' : null, { keyboard: js })
    await press(page, 'Declare it and stop')
    assert.match((await summary(page)).join(), /what the conflict is/)
    await page.getByLabel('What is the conflict?').fill('She was at school with my sister.')
    await press(page, 'Declare it and stop')
    assert.match(await notice(page), /You will not see this comparison again/)
    assert.doesNotMatch(await said(page), new RegExp(reference))
    assert.ok((await page.goto(sheet)).status() >= 400, 'the sheet is shut')
    assert.ok((await page.goto(`${sheet}/probe.jpg`)).status() >= 400, 'and so are its pictures')
    // Her opinion does not count: two others are asked, and they alone settle it.
    const asha = await hand(h, 'Asha Verma')
    await examined(await hand(h, 'Owen Clarke'), id, true)
    assert.match(await asha.read(`/search/${id}`), /Two trained examiners compare/)
    await examined(await hand(h, 'Fatima Siddiqui'), id, true)
    assert.match(await asha.read(`/search/${id}`), /Match confirmed by 2/)
  })

  test(`an empty candidate list is concluded by a person ${js ? 'with' : 'without'} scripts`, async () => {
    const { id, reference } = await compared(js ? 'NS/2026/0705' : 'NS/2026/0706', { images: [['sample3.jpg', 1]] })
    const page = await h.as('Owen Clarke', { js })
    await page.goto(h.url('/review'))
    await h.check(page, js ? 'examiners-list' : null, { keyboard: js })
    await page.getByRole('button', { name: `Conclude on ${reference}` }).click()
    await h.check(page, js ? 'examiners-empty' : null, { keyboard: js })
    await press(page, 'Conclude: no match')
    assert.match((await summary(page)).join(), /you looked and what you conclude/)
    if (js) await h.check(page, 'examiners-empty-errors', { keyboard: false })
    await page.getByLabel('What do you conclude?').fill('I looked: the list is empty, so nobody could be matched.')
    // With the keyboard alone.
    await page.keyboard.press('Tab')
    assert.equal((await page.locator(':focus').textContent()).trim(), 'Conclude: no match')
    await page.keyboard.press('Enter')
    await page.getByText('Your conclusion is recorded').waitFor()
    const holder = await h.as('Asha Verma', { js })
    await holder.goto(h.url(`/search/${id}`))
    assert.match(await said(holder), /An examiner concluded: no match/)
    if (js) await h.check(holder, 'examiners-empty-concluded')
    await holder.goto(h.url(`/respond/${id}`))
    assert.match(await said(holder), /does not mean that the person is not held/, 'O2')
    await h.check(holder, js ? 'examiners-empty-response' : null, { keyboard: js })
  })
}

test('an examiner finds that the person may be vulnerable: the rest of the office no longer sees the request', async () => {
  const { id, reference } = await compared('NS/2026/0707')
  const price = await hand(h, 'Daniel Price')
  assert.match(await price.read('/assess?list=all'), new RegExp(reference))
  const page = await h.as('Mei Lin')
  await takeUp(page, reference)
  const sheet = page.url()
  await page.getByRole('link', { name: /^Compare/ }).click()
  await opinion(page, 'Strong support for the same person', 'Every part agrees.')
  await press(page, 'Check your opinion')
  await press(page, 'Lock this opinion')
  await page.getByRole('link', { name: /^Give your conclusion/ }).click()
  await page.getByRole('link', { name: 'The person may be vulnerable' }).click()
  await h.check(page, 'examiners-vulnerable')
  await press(page, 'Record that the person may be vulnerable')
  assert.match((await summary(page)).join(), /why the person may be vulnerable/i)
  await page.getByLabel('What makes you think so?').fill('The record holds a former name and a refuge as the address.')
  await press(page, 'Record that the person may be vulnerable')
  assert.match(await notice(page), /only those who need to know/)
  assert.equal(page.url(), sheet, 'she goes on with her comparison')
  assert.doesNotMatch(await price.read('/assess?list=all'), new RegExp(reference))
  assert.equal((await price.get(`/assess/${id}`)).status, 404)
  await page.getByRole('link', { name: /^Give your conclusion/ }).click()
  await page.getByLabel('Yes, I am satisfied').check()
  await page.getByLabel('Why? What do you confirm').fill('The record agrees with what I saw.')
  await press(page, 'Give this conclusion')
  await page.getByText('You have concluded on every candidate').waitFor()
})

for (const js of [true, false]) {
  test(`a session that ends over an opinion, and an old tab, lose nothing ${js ? 'with' : 'without'} scripts`, async () => {
    const { reference } = await compared(js ? 'NS/2026/0708' : 'NS/2026/0709')
    const page = await h.as('Mei Lin', { js })
    await takeUp(page, reference)
    const sheet = page.url()
    await page.getByRole('link', { name: /^Compare/ }).click()
    const address = page.url()
    await opinion(page, 'Cannot say', 'A long opinion, typed for an hour.')
    await page.context().clearCookies()
    await press(page, 'Check your opinion')
    await page.getByText('It has been kept').waitFor()
    if (js) await h.check(page, 'examiners-session-ended', { keyboard: false })
    await press(page, /^Sign in as Mei Lin/)
    await page.getByText('A long opinion, typed for an hour.').waitFor()
    await h.check(page, js ? 'examiners-kept' : null, { keyboard: js })
    await press(page, 'Send it now')
    await page.getByRole('heading', { name: /Check your opinion/ }).waitFor()
    assert.match(await said(page), /A long opinion, typed for an hour\./)
    // Another tab with the same candidate, opened before this one is locked.
    const other = await page.context().newPage()
    await other.goto(address)
    await opinion(other, 'Some support for different people', 'Typed in the old tab.')
    await press(page, 'Lock this opinion')
    await page.waitForURL(sheet)
    await press(other, 'Check your opinion')
    if (await other.getByRole('button', { name: 'Lock this opinion' }).count()) await press(other, 'Lock this opinion')
    const told = await said(other)
    assert.match(told, /locked|already/i)
    await other.goto(sheet)
    assert.match(await said(other), /You saw: cannot say/i, 'the opinion that was locked stands')
  })
}

test('an examiner who is absent is replaced, and somebody else is asked', async () => {
  const { id, reference } = await compared('NS/2026/0790')
  const lin = await hand(h, 'Mei Lin')
  const [sheet] = await takenUp(lin, id)
  const page = await h.as('Ruth Adeyemi')
  await page.goto(h.url(`/assess/${id}`))
  await page.getByRole('link', { name: 'Replace an examiner' }).click()
  await press(page, 'Replace them')
  assert.deepEqual(await summary(page).then((all) => all.length > 0), true, 'who, and why')
  await h.check(page, 'examiners-replace-refused')
  await page.getByLabel('Mei Lin').check()
  await page.getByLabel('Why they are replaced').fill('Away for a month.')
  await h.check(page, 'examiners-replace')
  await press(page, 'Replace them')
  assert.match(await notice(page), /The examiner is replaced/)
  // It has left her list, and its sheet is no longer hers; it waits for somebody else.
  assert.doesNotMatch(await lin.read('/review'), new RegExp(reference))
  assert.notEqual((await lin.get(sheet)).status, 200)
  assert.match(await (await hand(h, 'Owen Clarke')).read('/review'), new RegExp(`Take up ${reference}`))
  await page.goto(h.url('/assess/team'))
  await h.check(page, 'examiners-team')
})
