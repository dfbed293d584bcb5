// How a request ends: one person shared and another withheld, a sensitive answer and its passing on, a decision
// reviewed. Each answer is read on both sides; the force sees what was decided for it and nothing else.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocated, declined, examined, hand, opened, searched, sent, settled, submitted, taken } from './by-hand.mjs'
import { house } from './harness.mjs'

const h = house({ args: process.env.COUNTERSIGN_ARGS ?? 'demo --synthetic 500 --data {data} --listen 127.0.0.1:{port}' })

const { press } = h
const summary = (page) => page.locator('.govuk-error-summary__list li').allInnerTexts()
const said = (page) => page.locator('main').innerText()
const notice = (page) => page.locator('.govuk-notification-banner').first().innerText()

/** Fills the findings on an image in as met. */
async function find(page) {
  await page.locator('input[name=legal-basis]').first().check()
  for (const box of await page.locator('input[name^=met-][value=yes]').all()) await box.check()
  for (const text of await page.locator('textarea[name^=reasons-]').all()) await text.fill('What the force says was read and weighed.')
  await page.getByLabel('I have read section 8').check()
}

test('a form with two images: each assessed and searched by itself; one match shared, the other withheld', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0711', images: [['sample3.jpg', 2], ['sample5.jpg', 1]] })
  const asha = await taken(h, id)
  const page = await h.as('Asha Verma')
  await page.goto(h.url(`/assess/${id}/assessment`))
  await page.getByRole('heading', { name: /Image 2/ }).waitFor()
  await h.check(page, 'outcomes-two-images')
  for (const n of [1, 2]) {
    await page.goto(h.url(`/assess/${id}/assessment`))
    await press(page, `Assess image ${n}`)
    assert.match(await said(page), new RegExp(`Image ${n} of 2`))
    await find(page)
    await page.getByLabel('Ordinary').check()
    await page.getByLabel('Authorise the search').check()
    await press(page, 'Check it')
    assert.match(await said(page), new RegExp(`with image ${n} and the face`), 'the check says which image')
    await press(page, 'Authorise the search')
    await page.getByText('The search is authorised.').waitFor()
    if (n === 1) {
      // One is authorised while the other is not decided: both stand on one page.
      assert.match(await said(page), /Image 1\s+May be searched/i)
      assert.match(await said(page), /Image 2\s+Not assessed yet/i)
      await h.check(page, 'outcomes-one-of-two', { keyboard: false })
    }
  }
  for (const n of [1, 2]) {
    await page.goto(h.url(`/search/${id}`))
    await press(page, 'Search now')
    assert.match(await said(page), new RegExp(`Image ${n}`))
    await press(page, 'Search now')
    await page.getByText('The search was started.').waitFor()
  }
  for (const name of ['Mei Lin', 'Owen Clarke']) await examined(await hand(h, name), id, true)
  await settled(asha, id)

  await page.goto(h.url(`/respond/${id}`))
  assert.match(await said(page), /2 matches, 2 decisions to make/)
  assert.match(await said(page), /Match 2, on image 2/)
  await h.check(page, 'outcomes-two-matches', { keyboard: false })
  const matches = await page.getByRole('link', { name: /^Decide what is shared/ }).evaluateAll((all) => all.map((a) => a.getAttribute('href')))
  const held = []
  for (const [n, match] of matches.entries()) {
    await page.goto(h.url(match))
    held.push({ id: match.split('/').at(-1), name: (await page.locator('label[for^=share]', { hasText: 'Name:' }).innerText()).split(': ')[1].trim() })
    if (n === 0) {
      await page.getByLabel('Share it').check()
      await page.getByLabel('The held image').check()
      for (const field of ['name', 'date-of-birth']) {
        await page.locator(`input[name=share][value=${field}]`).check()
        await page.locator(`#why-${field}`).fill('To find the person.')
      }
      await page.getByLabel('Why sharing is necessary').fill('A violent robbery; the least that lets the force find the person.')
      await press(page, 'Save the decision')
    } else {
      await page.getByLabel('Withhold it').check()
      await press(page, 'Save the decision')
      assert.match((await summary(page)).join(), /Say why the match is withheld/)
      await h.check(page, 'outcomes-withhold-errors')
      await page.getByLabel('Why the match is withheld').fill('A bystander on this image, not the person who is sought.')
      await press(page, 'Save the decision')
    }
    await page.getByText('Nothing has been sent yet.').waitFor()
  }
  const [shared, withheld] = held
  assert.notEqual(shared.name, withheld.name)
  await h.check(page, 'outcomes-preview', { keyboard: false })
  // The preview is what leaves: the chosen fields of the one, nothing of the other.
  const preview = await page.locator('.app-disclosure').innerText()
  assert.ok(preview.includes(shared.name) && /Date of birth/.test(preview) && !/Passport number|Nationality|address/i.test(preview), preview)
  assert.ok(!preview.includes(withheld.name) && !/bystander|withheld/i.test(preview), preview)
  assert.equal(await page.locator('.app-disclosure img').count(), 1)
  await press(page, 'Continue to send it')
  await press(page, 'Preview the answer')
  assert.equal(await page.locator('.app-disclosure').innerText(), preview, 'what is sent is what was previewed')
  await press(page, 'Send the answer')
  await page.getByText('The answer was sent.').waitFor()

  for (const js of [true, false]) {
    const sam = await h.as('Sam Okafor', { js })
    await sam.goto(h.url(`/respond/answers/${id}`))
    if (js) {
      await sam.getByRole('heading', { name: 'Open the answer?' }).waitFor()
      await press(sam, 'Open the answer')
    }
    await sam.locator('img[src*="/respond/answers/"]').waitFor()
    const html = await sam.content()
    for (const hidden of [withheld.name, withheld.id, 'bystander', 'Withheld', 'withheld']) assert.ok(!html.includes(hidden), `${hidden} on the answer`)
    const answer = await said(sam)
    assert.ok(answer.includes(shared.name) && /not able to share a result for this image/.test(answer), answer)
    assert.doesNotMatch(answer, /score|rank|candidate|examiner|0\.\d\d|Mei Lin|Owen Clarke|DEMO1/i)
    assert.notEqual((await sam.request.get(h.url(`/respond/answers/${id}/images/${withheld.id}`))).status(), 200)
    assert.equal((await sam.request.get(h.url(`/respond/answers/${id}/images/${shared.id}`))).status(), 200)
    await h.check(sam, js ? 'outcomes-answer' : null, { keyboard: js })
    // Nor does the request's own page or its history say more.
    for (const path of [`/intake/requests/${id}`, `/intake/requests/${id}/history`]) {
      await sam.goto(h.url(path))
      const html = await sam.content()
      for (const hidden of [withheld.name, withheld.id, 'bystander', 'ithheld', 'xaminer']) assert.ok(!html.includes(hidden), `${hidden} on ${path}`)
    }
  }
})

// Known and not mended yet: the force's history says when the candidates nobody confirmed were erased
// (bureau/views.rs, told_to_the_force), and so, before the answer, that there were any.
test('the force is not told that there were candidates', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0716' })
  const asha = await taken(h, id)
  await searched(asha, id)
  for (const name of ['Mei Lin', 'Owen Clarke']) await examined(await hand(h, name), id, true)
  await settled(asha, id)
  assert.doesNotMatch(await (await hand(h, 'Sam Okafor')).read(`/intake/requests/${id}/history`), /candidate/i)
})

test('every match withheld: the force reads that no result can be shared, and no more', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0712', by: 'Tom Reid' })
  const asha = await taken(h, id)
  await searched(asha, id)
  for (const name of ['Mei Lin', 'Owen Clarke']) await examined(await hand(h, name), id, true)
  await settled(asha, id)
  const page = await h.as('Asha Verma', { js: false })
  await page.goto(h.url(`/respond/${id}`))
  await page.getByRole('link', { name: /^Decide what is shared/ }).click()
  await h.check(page, null, { keyboard: false })
  await page.getByLabel('Withhold it').check()
  await page.getByLabel('Why the match is withheld').fill('She lives under protection; the benefit does not outweigh it.')
  await press(page, 'Save the decision')
  assert.match(await said(page), /Withheld/)
  await press(page, 'Continue to send it')
  await press(page, 'Preview the answer')
  await h.check(page, 'outcomes-withheld-check', { keyboard: false })
  await press(page, 'Send the answer')
  const tom = await h.as('Tom Reid', { js: false })
  await tom.goto(h.url(`/respond/answers/${id}`))
  await press(tom, 'Open the answer')
  const answer = await said(tom)
  assert.match(answer, /not able to share a result for this image/)
  assert.doesNotMatch(answer, /match|withheld|protection|held image/i)
  assert.equal(await tom.locator('img[src*="/respond/"]').count(), 0)
  await h.check(tom, 'outcomes-withheld-answer')
})

test('a sensitive request: opened knowingly, confirmed twice, passed on only by leave', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0713', by: 'Tom Reid', vulnerable: 'May have fled domestic abuse under a new name.' })
  const asha = await hand(h, 'Asha Verma')
  const others = ['Daniel Price', 'Mei Lin', 'Margaret Ellis'].map((name) => hand(h, name))
  for (const other of await Promise.all(others.slice(0, 2))) assert.equal((await other.get(`/assess/${id}`)).status, 404, 'nobody else knows of it')
  await allocated(await hand(h, 'Ruth Adeyemi'), asha, [id])

  const page = await h.as('Asha Verma')
  await page.goto(h.url(`/respond/${id}`))
  if (await page.getByText('Do you have a conflict of interest?').count()) {
    await page.getByLabel('No, I have none').check()
    await press(page, 'Continue')
  }
  await page.getByRole('heading', { name: 'This request is sensitive' }).waitFor()
  assert.doesNotMatch(await said(page), /domestic abuse under|Northshire|NS\/2026/, 'nothing is shown before')
  await h.check(page, 'outcomes-interruption')
  await press(page, 'I need to see it')
  assert.equal(new URL(page.url()).pathname, `/respond/${id}`, 'and on to the page that was asked for')
  await page.goto(h.url(`/assess/${id}/assessment`))
  await find(page)
  assert.match(await said(page), /May have fled domestic abuse/)
  await page.getByLabel('Ordinary').check()
  await page.getByLabel('Authorise the search').check()
  await press(page, 'Check it')
  assert.match((await summary(page)).join(), /sensitive/i, 'a flagged request is not handled as an ordinary one')
  await opened(asha, id)
  await searched(asha, id, { handling: 'sensitive' })

  // Examiners are let in by name; nobody else.
  for (const name of ['Mei Lin', 'Owen Clarke']) {
    await page.goto(h.url(`/assess/${id}/admit`))
    await page.getByLabel(name).check()
    await page.getByLabel('Why they need to know').fill('To compare the faces.')
    if (name === 'Mei Lin') await h.check(page, 'outcomes-admit')
    await press(page, 'Let them in')
    await page.getByText('Your colleague can see the request now.').waitFor()
    await examined(await hand(h, name), id, true)
  }
  await settled(asha, id)
  await page.goto(h.url(`/respond/${id}`))
  await page.getByRole('link', { name: /^Decide what is shared/ }).click()
  await page.getByText('each field could reveal what puts the person at risk').waitFor()
  await page.getByLabel('Share it').check()
  await page.locator('input[name=share][value=name]').check()
  await page.locator('#why-name').fill('To reach the person first.')
  await page.getByLabel('Why sharing is necessary').fill('A threat to kill.')
  await h.check(page, 'outcomes-sensitive-match', { keyboard: false })
  await press(page, 'Save the decision')
  await press(page, 'Continue to send it')
  await press(page, 'Preview the answer')
  assert.match((await summary(page)).join(), /Confirm that the answer goes to this person and nobody else/)
  await h.check(page, 'outcomes-sensitive-confirm')
  await page.getByLabel('I confirm that it goes to this person').check()
  await press(page, 'Preview the answer')
  await h.check(page, 'outcomes-sensitive-send', { keyboard: false })
  await press(page, 'Send the answer')
  await page.getByText('The answer was sent.').waitFor()

  const tom = await h.as('Tom Reid')
  await tom.goto(h.url(`/respond/answers/${id}`))
  assert.match(await said(tom), /It is sensitive: ask us before you pass it on/)
  await h.check(tom, 'outcomes-sensitive-open')
  await press(tom, 'Open the answer')
  assert.match(await said(tom), /may not pass it on to anybody before we have agreed/)
  await tom.getByRole('link', { name: 'Ask to pass it on' }).click()
  await tom.getByLabel('Who needs it?').fill('DS Lee Park, Westshire Police')
  await tom.getByLabel('Why do they need it?').fill('They protect her now.')
  await press(tom, 'Ask')

  // Two people open the question at once: the first decides, the second is told.
  const ruth = await h.as('Ruth Adeyemi')
  for (const p of [page, ruth]) {
    await p.goto(h.url(`/assess/${id}/onward`))
    if (await p.getByRole('button', { name: 'I need to see it' }).count()) await press(p, 'I need to see it')
    await p.getByRole('heading', { name: 'May the answer be passed on?' }).waitFor()
  }
  await press(ruth, 'Decide')
  assert.match((await summary(ruth)).join(), /Decide whether the answer may be passed on/)
  await h.check(ruth, 'outcomes-onward')
  await ruth.getByLabel('Yes, to this person only').check()
  await ruth.getByLabel('Your reasons').fill('They need it to protect her.')
  await press(ruth, 'Decide')
  assert.match(await notice(ruth), /The requester is told/)
  await page.getByLabel('No', { exact: true }).check()
  await page.getByLabel('Your reasons').fill('Typed by the second of the two.')
  await press(page, 'Decide')
  assert.match((await summary(page)).join(), /has changed since you opened this page, so nothing was done/)
  assert.match(await said(page), /They need it to protect her/, 'what the first decided')
  assert.match(await said(page), /Typed by the second of the two/, 'and nothing typed is lost')
  await h.check(page, 'outcomes-overtaken', { keyboard: false })

  await tom.goto(h.url(`/respond/answers/${id}`))
  assert.match(await said(tom), /Allowed[\s\S]*DS Lee Park, Westshire Police[\s\S]*They need it to protect her/)
  assert.doesNotMatch(await said(tom), /Typed by the second/)
  await h.check(tom, 'outcomes-onward-allowed', { keyboard: false })
  // The rest of both offices still know nothing of it.
  for (const other of await Promise.all(others.slice(0, 1))) assert.equal((await other.get(`/assess/${id}`)).status, 404)
  assert.doesNotMatch(await (await hand(h, 'Sam Okafor')).read('/intake'), new RegExp(id))
})

test('a review: asked by the force, decided by the leader, its result read by the force', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0714', by: 'Sam Okafor' })
  const asha = await taken(h, id)
  await declined(asha, id, 'What happened is not a serious crime.')
  await sent(asha, id)
  const sam = await h.as('Sam Okafor')
  await sam.goto(h.url(`/respond/answers/${id}`))
  await press(sam, 'Open the answer')
  assert.match(await said(sam), /What happened is not a serious crime/)
  await sam.getByRole('link', { name: 'Ask for a review' }).click()
  await press(sam, 'Ask for a review')
  assert.match((await summary(sam)).join(), /Give your reasons/)
  await sam.getByLabel('Your reasons').fill('A wrist was broken: robbery is capable of far more than two years.')
  await press(sam, 'Ask for a review')
  assert.match(await notice(sam), /You asked for a review/)
  assert.match(await said(sam), /The leader of the team that decided is looking at it/)
  await h.check(sam, 'outcomes-review-asked', { keyboard: false })

  const ruth = await h.as('Ruth Adeyemi')
  await ruth.goto(h.url('/assess/team'))
  await ruth.getByRole('link', { name: /^decide the review/ }).click()
  assert.match(await said(ruth), /A wrist was broken/)
  await ruth.getByLabel('Yes: the decision changes').check()
  await ruth.getByLabel('Your reasons').fill('Robbery with injury meets limb (b).')
  // With the keyboard alone from here.
  await ruth.getByLabel('Your reasons').press('Tab')
  assert.equal(await ruth.evaluate(() => document.activeElement.textContent.trim()), 'Decide the review')
  await ruth.keyboard.press('Enter')
  await ruth.getByText('The review is decided.').waitFor()

  await sam.goto(h.url(`/intake/requests/${id}`))
  const told = await said(sam)
  assert.match(told, /Decision changed[\s\S]*Robbery with injury meets limb \(b\)/i)
  await h.check(sam, 'outcomes-review-changed')
  // It is assessed anew, and ends otherwise.
  const again = await taken(h, id, 'Daniel Price')
  await searched(again, id)
  await examined(await hand(h, 'Mei Lin'), id, true)
  await examined(await hand(h, 'Owen Clarke'), id, true)
  assert.match(await again.read(`/respond/${id}`), /1 match, 1 decision to make/)
})

test('a review of something else is answered as out of scope, without scripts', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0715', by: 'Tom Reid', images: [['sample3.jpg', 1]] })
  const asha = await taken(h, id)
  await searched(asha, id)
  const owen = await hand(h, 'Owen Clarke')
  const { html } = await owen.get('/review')
  await owen.send(html.match(new RegExp(`/review/${id}/[^"]+/empty`))[0], { words: 'I looked: the list is empty.' })
  await settled(asha, id)
  await sent(asha, id)
  const tom = await h.as('Tom Reid', { js: false })
  await tom.goto(h.url(`/respond/answers/${id}`))
  await press(tom, 'Open the answer')
  assert.match(await said(tom), /does not mean that the person is not held/)
  await tom.goto(h.url(`/intake/requests/${id}/review`))
  await tom.getByLabel('Your reasons').fill('Please search again with a lower threshold.')
  await press(tom, 'Ask for a review')
  const ruth = await h.as('Ruth Adeyemi', { js: false })
  await ruth.goto(h.url(`/assess/${id}/review`))
  assert.match(await said(ruth), /No decision on eligibility was made/)
  await ruth.getByLabel('No: the decision stands').check()
  await ruth.getByLabel('Your reasons').fill('Nothing was decided on eligibility.')
  await press(ruth, 'Decide the review')
  assert.match((await summary(ruth)).join(), /out of scope/)
  await ruth.getByLabel('That is not what the force asks').check()
  await h.check(ruth, 'outcomes-out-of-scope')
  await press(ruth, 'Decide the review')
  await tom.goto(h.url(`/intake/requests/${id}`))
  assert.match(await said(tom), /Out of scope[\s\S]*Nothing was decided on eligibility/i)
  await h.check(tom, 'outcomes-review-out-of-scope')
})
