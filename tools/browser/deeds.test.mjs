// The small things done to a case, each sent: allocated, put back, asked, flagged, let in, a conflict found in the
// middle; and what becomes of a form when the session ends over it or somebody else is quicker.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocated, hand, opened, submitted, taken } from './by-hand.mjs'
import { house } from './harness.mjs'

const h = house({ args: process.env.COUNTERSIGN_ARGS ?? 'demo --synthetic 500 --data {data} --listen 127.0.0.1:{port}' })

const { press } = h
const summary = (page) => page.locator('.govuk-error-summary__list li').allInnerTexts()
const said = (page) => page.locator('main').innerText()
const notice = (page) => page.locator('.govuk-notification-banner').first().innerText()

let number = 720
const investigation = () => `NS/2026/0${number++}`

async function reference(staff, id) {
  return (await staff.read(`/assess/${id}`)).match(/FIS-[0-9A-F]{4}-[0-9A-F]{4}/)[0]
}

for (const js of [true, false]) {
  test(`the team leader allocates two requests at once, and confirms it ${js ? 'with' : 'without'} scripts`, async () => {
    const free = await submitted(h, { investigation: investigation() })
    const held = await submitted(h, { investigation: investigation() })
    const asha = await taken(h, held)
    const names = [await reference(await hand(h, 'Ruth Adeyemi'), free), await reference(asha, held)]
    const page = await h.as('Ruth Adeyemi', { js })
    await page.goto(h.url('/assess/team/allocate'))
    for (const id of [free, held]) await page.locator(`input[name=request][value="${id}"]`).check()
    await page.getByLabel('Daniel Price').check()
    await page.getByLabel('Why', { exact: true }).fill('Asha Verma is away this week.')
    await press(page, 'Continue')
    await page.getByRole('heading', { name: 'Check the allocation' }).waitFor()
    const check = await said(page)
    for (const name of names) assert.ok(check.includes(name), name)
    assert.equal(check.match(/This removes it from your colleague’s list: Asha Verma/g)?.length, 1)
    await h.check(page, js ? 'deeds-allocate-check' : null, { keyboard: js })
    await press(page, 'Change it')
    assert.ok(await page.locator(`input[name=request][value="${held}"]`).isChecked(), 'the choice is kept')
    assert.equal(await page.getByLabel('Why', { exact: true }).inputValue(), 'Asha Verma is away this week.')
    await press(page, 'Continue')
    // The last of it with the keyboard alone.
    await page.getByRole('button', { name: 'Allocate', exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.getByText('2 requests were allocated.').waitFor()
    if (js) await h.check(page, 'deeds-allocated', { keyboard: false })
    const mine = await (await hand(h, 'Daniel Price')).read('/assess')
    for (const name of names) assert.ok(mine.includes(name), `${name} is on his list`)
    assert.doesNotMatch(await asha.read('/assess'), new RegExp(names[1]), 'and off hers')
  })
}

test('an allocation checked too long: a colleague was quicker, and it is said which', async () => {
  const ids = [await submitted(h, { investigation: investigation() }), await submitted(h, { investigation: investigation() })]
  const page = await h.as('Ruth Adeyemi')
  await page.goto(h.url('/assess/team/allocate'))
  for (const id of ids) await page.locator(`input[name=request][value="${id}"]`).check()
  await page.getByLabel('Daniel Price').check()
  await page.getByLabel('Why', { exact: true }).fill('Absence.')
  await press(page, 'Continue')
  const asha = await taken(h, ids[0])
  await press(page, 'Allocate')
  assert.match(await notice(page), /1 request was allocated/)
  assert.match((await summary(page)).join(), new RegExp(`${await reference(asha, ids[0])}: .*changed since`))
  assert.equal(await page.getByLabel('Why', { exact: true }).inputValue(), 'Absence.')
  await h.check(page, 'deeds-allocate-overtaken', { keyboard: false })
})

test('put back, ask the force and read its answer', async () => {
  const id = await submitted(h, { investigation: investigation(), by: 'Tom Reid' })
  const asha = await taken(h, id)
  const name = await reference(asha, id)
  const page = await h.as('Asha Verma')
  await page.goto(h.url(`/assess/${id}`))
  await page.getByRole('link', { name: /^Ask the force/ }).click()
  await h.check(page, 'deeds-ask')
  await press(page, 'Send the question')
  assert.equal((await summary(page)).length, 1)
  await h.check(page, 'deeds-ask-errors', { keyboard: false })
  await page.getByLabel('Your question').fill('Was he seen at the counter, or only outside?')
  await press(page, 'Send the question')
  assert.match(await notice(page), /question was sent/)
  assert.match(await said(page), /Not answered yet/)
  await h.check(page, 'deeds-asked', { keyboard: false })

  const tom = await h.as('Tom Reid', { js: false })
  await tom.goto(h.url(`/intake/requests/${id}`))
  await press(tom, 'Answer the question')
  await press(tom, 'Send')
  assert.equal((await summary(tom)).length, 1)
  await tom.getByLabel('Your answer').fill('Only outside.')
  await press(tom, 'Send')
  await page.goto(h.url(`/assess/${id}`))
  assert.match(await said(page), /Only outside\./)

  await page.getByRole('link', { name: /^Put (it|this) back/ }).click()
  await h.check(page, 'deeds-put-back')
  await press(page, 'Put it back')
  assert.match(await notice(page), /back in the queue/)
  assert.doesNotMatch(await said(page), new RegExp(name))
  assert.match(await (await hand(h, 'Daniel Price')).read('/assess?list=waiting'), new RegExp(name))
})

test('flagged by the one who holds it, then a colleague let in by name', async () => {
  const id = await submitted(h, { investigation: investigation() })
  const asha = await taken(h, id)
  const name = await reference(asha, id)
  const price = await hand(h, 'Daniel Price')
  assert.match(await price.read('/assess?list=all'), new RegExp(name))
  const page = await h.as('Asha Verma')
  await page.goto(h.url(`/assess/${id}`))
  await page.getByRole('link', { name: /vulnerable/ }).click()
  await h.check(page, 'deeds-flag')
  await press(page, 'Flag it')
  assert.match((await summary(page)).join(), /Say why the person may be vulnerable/)
  await page.getByLabel('Why the person may be vulnerable').fill('The clothes are those of a refuge that we know.')
  await press(page, 'Flag it')
  // She knew it when it was ordinary; from now on the card comes first for her too.
  await page.getByRole('heading', { name: 'This request is sensitive' }).waitFor()
  await press(page, 'I need to see it')
  assert.match(await said(page), /only people who need it can see/)
  assert.doesNotMatch(await price.read('/assess?list=all'), new RegExp(name))
  assert.equal((await price.get(`/assess/${id}`)).status, 404)

  await page.goto(h.url(`/assess/${id}/admit`))
  await press(page, 'Let them in')
  await h.check(page, 'deeds-admit-errors', { keyboard: false })
  assert.ok((await summary(page)).length >= 1)
  await page.getByLabel('Daniel Price').check()
  await page.getByLabel('Why they need to know').fill('He takes it over tomorrow.')
  await press(page, 'Let them in')
  assert.match(await notice(page), /can see the request now/)
  const other = await h.as('Daniel Price', { js: false })
  await other.goto(h.url(`/assess/${id}`))
  if (await other.getByText('Do you have a conflict of interest?').count()) {
    await other.getByLabel('No, I have none').check()
    await press(other, 'Read it')
  }
  await other.getByRole('heading', { name: 'This request is sensitive' }).waitFor()
  await h.check(other, null, { keyboard: false })
  await press(other, 'I need to see it')
  assert.match(await said(other), /A robbery at a cash machine/)
})

test('a conflict of interest found by the one who holds it', async () => {
  const id = await submitted(h, { investigation: investigation() })
  await taken(h, id)
  const page = await h.as('Asha Verma', { js: false })
  await page.goto(h.url(`/assess/${id}`))
  await page.getByRole('link', { name: /conflict/ }).click()
  await h.check(page, 'deeds-conflict')
  await page.getByLabel('What the conflict is').fill('I know the victim.')
  await press(page, 'Declare it')
  assert.match(await notice(page), /conflict of interest is recorded/)
  assert.ok((await page.goto(h.url(`/assess/${id}`))).status() >= 400, 'barred')
  assert.match(await (await hand(h, 'Daniel Price')).read('/assess?list=waiting'), /FIS-/)
})

for (const js of [true, false]) {
  test(`an assessment typed for an hour: the session ends, a leader is quicker, nothing is lost ${js ? 'with' : 'without'} scripts`, async () => {
    const id = await submitted(h, { investigation: investigation() })
    await taken(h, id)
    const page = await h.as('Asha Verma', { js })
    await page.goto(h.url(`/assess/${id}/assessment`))
    const address = page.url()
    await page.locator('input[name=met-balance][value=yes]').check()
    await page.locator('textarea[name=reasons-balance]').fill('Weighed for an hour.\nOn two lines.')
    await page.context().clearCookies()
    await press(page, 'Check it')
    await page.getByText('It has been kept').waitFor()
    await press(page, /^Sign in as Asha Verma/)
    assert.match(await said(page), /Weighed for an hour\.\s+On two lines\./)
    await h.check(page, js ? 'deeds-kept' : null, { keyboard: js })
    await press(page, 'Send it now')
    assert.equal(await page.locator('textarea[name=reasons-balance]').inputValue().then((t) => t.replace(/\r/g, '')), 'Weighed for an hour.\nOn two lines.')
    assert.ok(await page.locator('input[name=met-balance][value=yes]').isChecked())
    // Meanwhile the leader lets a colleague in: the form is old, and still nothing is lost.
    await page.goto(address)
    await page.locator('textarea[name=reasons-balance]').fill('Typed while the leader was at it.')
    const ruth = await opened(await hand(h, 'Ruth Adeyemi'), id)
    await ruth.send(`/assess/${id}/admit`, { person: (await hand(h, 'Mei Lin')).id, words: 'She compares it.' })
    await press(page, 'Check it')
    assert.match((await summary(page)).join(), /has changed since you opened this page/)
    assert.equal(await page.locator('textarea[name=reasons-balance]').inputValue(), 'Typed while the leader was at it.')
    if (js) await h.check(page, 'deeds-assessment-old', { keyboard: false })
  })
}

// A question that has come before the case takes the place of a form that was sent; the form is kept meanwhile.
for (const [what, deed] of [
  ['flagged as sensitive', async (ruth, id) => ruth.send(`/assess/${id}/flag`, { words: 'A refuge in the picture.' })],
  ['given to a colleague', async (ruth, id) => allocated(ruth, await hand(h, 'Daniel Price'), [id], 'Asha Verma is ill.')]
]) {
  test(`what was typed while the request was ${what} is not lost`, async () => {
    const id = await submitted(h, { investigation: investigation() })
    await taken(h, id)
    const page = await h.as('Asha Verma', { js: false })
    await page.goto(h.url(`/assess/${id}/clarify`))
    await page.getByLabel('Your question').fill('Was he seen at the counter?')
    await deed(await opened(await hand(h, 'Ruth Adeyemi'), id), id)
    await press(page, 'Send the question')
    for (const button of ['I need to see it', 'Read it']) {
      if (!await page.getByRole('button', { name: button }).count()) continue
      if (button === 'Read it') await page.getByLabel('No, I have none').check()
      await press(page, button)
    }
    assert.match(await page.content(), /Was he seen at the counter\?/)
  })
}

test('two tabs of one person: the second decision is told that the first was made', async () => {
  const id = await submitted(h, { investigation: investigation() })
  await taken(h, id)
  const page = await h.as('Asha Verma')
  const other = await page.context().newPage()
  for (const tab of [page, other]) await tab.goto(h.url(`/assess/${id}/reject`))
  for (const tab of [page, other]) {
    await tab.locator('input[name=field][value=harm]').check()
    await tab.locator('input[name=words-harm]').fill('No harm is described.')
    await press(tab, 'Preview the letter')
  }
  await press(page, 'Reject the request')
  await page.getByText('The request was rejected.').waitFor()
  await press(other, 'Reject the request')
  const told = await said(other)
  assert.match(told, /changed since|already|cannot be done now/i)
  assert.doesNotMatch(told, /The request was rejected\./)
  await h.check(Object.assign(other, { scripts: true, complaints: [] }), 'deeds-second-tab', { keyboard: false })
})

test('a request taken from under somebody who writes: their question is not sent', async () => {
  const id = await submitted(h, { investigation: investigation() })
  const asha = await taken(h, id)
  const page = await h.as('Asha Verma')
  await page.goto(h.url(`/assess/${id}/clarify`))
  await page.getByLabel('Your question').fill('Typed before it was given to a colleague.')
  await allocated(await hand(h, 'Ruth Adeyemi'), await hand(h, 'Daniel Price'), [id], 'Asha Verma is ill.')
  await press(page, 'Send the question')
  assert.match(await said(page), /A colleague holds this request/)
  await h.check(page, 'deeds-taken-away', { keyboard: false })
  assert.match(await asha.read('/assess?list=all'), /Daniel Price/)
  assert.doesNotMatch(await (await hand(h, 'Sam Okafor')).read(`/intake/requests/${id}`), /Typed before/)
})

for (const js of [true, false]) {
  test(`D3: a legal hold is placed, reviewed and, once somebody is sure, lifted ${js ? 'with' : 'without'} scripts`, async () => {
    const id = await submitted(h, { investigation: investigation() })
    const page = await h.as('Ruth Adeyemi', { js })
    const review = async (day, month, year) => {
      for (const [label, value] of Object.entries({ Day: day, Month: month, Year: year })) await page.getByLabel(label).fill(value)
    }
    await page.goto(h.url(`/retain/${id}/hold`))
    await h.check(page, js ? 'retain-hold' : null)
    // The latest day of the rule, 366 days from today in London, is there already; what is emptied stays empty.
    const today = new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/London' }).format(new Date())
    const latest = new Date(Date.parse(today) + 366 * 86_400_000)
    const filled = async () => Promise.all(['Day', 'Month', 'Year'].map((label) => page.getByLabel(label).inputValue()))
    const suggested = [latest.getUTCDate(), latest.getUTCMonth() + 1, latest.getUTCFullYear()].map(String)
    assert.deepEqual(await filled(), suggested)
    await review('', '', '')
    await press(page, 'Keep it')
    assert.deepEqual(await filled(), ['', '', ''])
    const said = await summary(page)
    assert.ok(said.some((s) => s.startsWith('Choose who answers for the hold')), said.join())
    assert.ok(said.some((s) => s.startsWith('The day of its review must be a real date')), said.join())
    await page.getByLabel('Who answers for it?').selectOption({ label: 'Ruth Adeyemi' })
    await review('1', '1', '2020')
    await press(page, 'Keep it')
    const refusals = await summary(page)
    assert.equal(refusals.length, 2, `a day that has passed, and no reason: ${refusals.join()}`)
    const soon = new Date(Date.now() + 90 * 86_400_000)
    await review(`${soon.getUTCDate()}`, `${soon.getUTCMonth() + 1}`, `${soon.getUTCFullYear()}`)
    await page.getByLabel('Why?').fill('A complaint is being looked into.')
    await press(page, 'Keep it')
    assert.match(await notice(page), /Nothing of this request is erased until it is lifted/)

    // To keep it longer, a reason is enough.
    await page.goto(h.url(`/retain/${id}/hold`))
    assert.deepEqual(await filled(), suggested)
    await page.getByLabel('Why?').fill('It goes on.')
    await press(page, 'Keep it longer')
    assert.match(await notice(page), /goes on/)

    await page.goto(h.url(`/retain/${id}/hold`))
    assert.match(await page.locator('main').innerText(), /It goes on\./)
    await page.getByRole('link', { name: 'Lift the hold' }).click()
    await h.check(page, js ? 'retain-lift' : null)
    await press(page, 'Lift the hold')
    assert.match((await summary(page)).join(), /Say why it need not be kept any longer/)
    await page.getByLabel('Why need it not be kept').fill('The complaint is settled.')
    await press(page, 'Lift the hold')
    assert.match(await notice(page), /is lifted/)
    // A page that was left open tells what has happened, and shows the form to place one.
    await page.goto(h.url(`/retain/${id}/hold/lift`))
    await page.getByRole('heading', { name: 'Place a legal hold' }).waitFor()
  })
}
