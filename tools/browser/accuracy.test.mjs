// Accuracy (P1): what everybody may read and check, and another threshold, which takes two people.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { authorised, searched, submitted, taken } from './by-hand.mjs'
import { house } from './harness.mjs'

const h = house({ args: process.env.COUNTERSIGN_ARGS ?? 'demo --synthetic 3000 --data {data} --listen 127.0.0.1:{port}' })

/** What a page says, with ordinary spaces. */
const said = async (page) => (await page.locator('main').innerText()).replaceAll('\u00a0', ' ')

/** The demo's own evaluation, where it said that it lies. */
const evaluation = () => h.log.match(/can be proposed with (\S+evaluation\.json)/)[1]

test('P1: anybody reads how accurate each gallery is, and takes the signed certificate away', async () => {
  const page = await h.visitor()
  await page.goto(h.url('/policy'))
  await page.getByRole('link', { name: 'Accuracy', exact: true }).click()
  await h.check(page, 'accuracy')
  const main = await said(page)
  assert.equal(main.match(/Demonstration: measured on a handful/g).length, 2, 'the mark is on both')
  for (const part of ['95 % confidence', 'In force', 'Pointed at'.toLowerCase(), 'synthetic']) assert.ok(main.toLowerCase().includes(part.toLowerCase()), part)
  const link = page.getByRole('link', { name: 'Download the signed certificate of the passport gallery' })
  const note = await (await fetch(h.url(await link.getAttribute('href')))).text()
  assert.match(note, /^countersign accuracy certificate 1\n\{[\s\S]*"demonstration": true[\s\S]*\n\n— countersign\/log\/certificates /)
  assert.equal((await fetch(h.url('/accuracy/nowhere/certificate'))).ok, false)
})

test('P1: another threshold is proposed by the owner and confirmed by a second person who sees both', async () => {
  // Without a script, as everything.
  const owner = await h.as('Robert Shaw', { js: false })
  await owner.goto(h.url('/report/accuracy'))
  assert.equal(await owner.getByRole('heading', { level: 2 }).filter({ hasText: /gallery|Immigration/ }).count(), 1, 'the own gallery only')
  assert.match(await said(owner), /The evaluation’s file is trusted/)
  await h.check(owner, 'report-accuracy')
  await owner.getByRole('button', { name: 'Propose another threshold' }).click()
  await owner.getByRole('button', { name: 'Propose it' }).click()
  assert.equal(await owner.locator('.govuk-error-summary li').count(), 3)
  await owner.getByLabel('New threshold').fill('0.999')
  await owner.getByLabel('References that the gallery may hold').fill('1,000,000')
  await owner.getByLabel('The evaluation').setInputFiles(evaluation())
  await owner.getByRole('button', { name: 'Propose it' }).click()
  const wrong = await owner.locator('.govuk-error-summary').innerText()
  for (const part of ['say that the rest is an estimate', 'Say why the threshold should change']) assert.ok(wrong.includes(part), wrong)
  assert.equal(await owner.getByLabel('New threshold').inputValue(), '0.999', 'what was typed is kept')
  await h.check(owner, 'report-accuracy-propose')
  await owner.getByLabel('References that the gallery may hold').fill('3,050')
  await owner.getByLabel('Why should it change?').fill('Fewer people should be pointed at by mistake.')
  await owner.getByLabel('The evaluation').setInputFiles(evaluation())
  await owner.getByRole('button', { name: 'Propose it' }).click()
  await owner.getByText('The threshold was proposed').waitFor()
  // Whoever proposes it cannot confirm it.
  assert.match(await said(owner), /You proposed it: a second person confirms it/)
  assert.equal(await owner.getByRole('button', { name: 'Confirm the new threshold' }).count(), 0)

  // The second person: two tabs, both drawn before either is sent.
  const one = await h.as('Colin Bright')
  await one.goto(h.url('/report/accuracy'))
  await one.getByRole('link', { name: 'Compare it with the one in use' }).click()
  await h.check(one, 'report-accuracy-decide')
  const both = await said(one)
  for (const part of ['In use: 0.945', 'Proposed: 0.999', 'would be missed who were found before', 'Demonstration', '95 % confidence']) {
    assert.ok(both.includes(part), `${part} is not in\n${both}`)
  }
  const two = await one.context().newPage()
  await two.goto(h.url('/report/accuracy/immigration'))
  await one.getByRole('button', { name: 'Confirm the new threshold' }).click()
  await one.getByText('The threshold was changed').waitFor()
  await two.getByRole('button', { name: 'Confirm the new threshold' }).click()
  await two.getByRole('heading', { name: 'Someone else has already done this' }).waitFor()
  assert.match(await said(one), /0\.999/)

  // It is in the record, and for nobody else's gallery.
  const auditor = await h.as('Nadia Rahman')
  await auditor.goto(h.url('/register/history'))
  assert.match(await said(auditor), /Proposed threshold of the immigration gallery confirmed by a second person/)
  await auditor.goto(h.url('/accuracy'))
  const now = await said(auditor)
  assert.ok(now.includes('0.999') && now.includes('0.945'), 'one gallery changed')
  const outside = await h.as('Ruth Adeyemi')
  assert.equal((await outside.goto(h.url('/report/accuracy/immigration'))).status(), 404)
})

test('P1: a proposal is declined with a reason', async () => {
  const owner = await h.as('Margaret Ellis')
  await owner.goto(h.url('/report/accuracy/passport/propose'))
  await owner.getByLabel('New threshold').fill('0.9')
  await owner.getByLabel('References that the gallery may hold').fill('3500')
  await owner.getByLabel('More than twice as many').check()
  await owner.getByLabel('Why should it change?').fill('Fewer people should be missed.')
  await owner.getByLabel('The evaluation').setInputFiles(evaluation())
  await owner.getByRole('button', { name: 'Propose it' }).click()
  await owner.getByText('The threshold was proposed').waitFor()
  const leader = await h.as('Ruth Adeyemi', { js: false })
  await leader.goto(h.url('/report/accuracy/passport'))
  assert.match(await said(leader), /Up to [\d.]+ % \(an estimate from the upper end of the interval, not a measurement\)/)
  await leader.getByRole('button', { name: 'Decline' }).click()
  assert.match(await leader.locator('.govuk-error-summary').innerText(), /Say why it is declined/)
  await leader.getByLabel('Or decline it: why?').fill('The sample is far too small.')
  await leader.getByRole('button', { name: 'Decline' }).click()
  await leader.getByText('The proposal was declined').waitFor()
  assert.ok(JSON.parse(readFileSync(evaluation())).demonstration)
})

test('P1: one person revokes a certificate with a reason that everybody reads; two people and a new evaluation start it again', async () => {
  const id = await submitted(h, { investigation: 'NS/2026/0790' })
  const [start] = await authorised(await taken(h, id), id)
  // A case that was searched under it.
  const touched = await submitted(h, { investigation: 'NS/2026/0791' })
  await searched(await taken(h, touched), touched)
  // A colleague has the question open, too.
  const leader = await h.as('Ruth Adeyemi')
  await leader.goto(h.url('/report/accuracy'))
  await leader.getByRole('link', { name: 'Revoke this certificate of the' }).click()
  await h.check(leader, 'report-accuracy-revoke')
  const asked = await said(leader)
  assert.match(asked, /\d+ search(es)? (was|were) run under it/)
  for (const part of ['The gallery is not searched from now on', 'No older certificate takes its place', 'a second person confirms']) {
    assert.ok(asked.includes(part), `${part} is not in\n${asked}`)
  }
  // Without a script, as everything.
  const owner = await h.as('Margaret Ellis', { js: false })
  await owner.goto(h.url('/report/accuracy'))
  await owner.getByRole('link', { name: 'Revoke this certificate of the' }).click()
  await owner.getByRole('link', { name: 'Cancel' }).click()
  await owner.getByRole('link', { name: 'Revoke this certificate of the' }).click()
  await owner.getByRole('button', { name: 'Revoke the certificate' }).click()
  assert.match(await owner.locator('.govuk-error-summary').innerText(), /Say why the certificate is revoked/)
  await h.check(owner, 'report-accuracy-revoke-refused')
  await owner.getByLabel('Why does it end?').fill('The photographs were sorted under wrong names.')
  await owner.getByRole('button', { name: 'Revoke the certificate' }).click()
  await owner.getByText('The certificate was revoked').waitFor()
  const why = /It was revoked on \d{1,2} [A-Z][a-z]+ \d{4}: The photographs were sorted under wrong names\./
  assert.match(await said(owner), why)
  assert.equal(await owner.getByRole('link', { name: 'Revoke this certificate' }).count(), 0)
  // The colleague's button comes late and changes nothing.
  await leader.getByLabel('Why does it end?').fill('For another reason.')
  await leader.getByRole('button', { name: 'Revoke the certificate' }).click()
  await leader.waitForURL(h.url('/report/accuracy'))
  assert.match(await said(leader), why)
  await h.check(leader, 'report-accuracy-revoked')
  // What it touched: cases and how far they are, for people to decide; without a script, too.
  for (const person of [leader, owner]) {
    await person.getByRole('link', { name: 'Cases searched under the certificate' }).click()
    await person.getByRole('heading', { name: 'Searches that rest on this certificate' }).waitFor()
    const main = await said(person)
    for (const part of ['The photographs were sorted under wrong names.', 'for people to decide', 'That you read it is recorded', 'Being compared', 'This one']) {
      assert.ok(main.includes(part), `${part} is not in\n${main}`)
    }
    assert.equal(await person.locator(`a[href="/report/requests/${touched}"]`).count(), 1)
    assert.match(main, /\d+ search(es)? in \d+ cases?, newest first/)
  }
  await h.check(leader, 'report-accuracy-searches')
  const trace = new URL(leader.url()).pathname
  // A search that was authorised before is refused, with the reason.
  const holder = await h.as('Asha Verma')
  await holder.goto(h.url(start))
  await holder.getByRole('button', { name: 'Search now' }).click()
  assert.match(await holder.locator('.govuk-error-summary').innerText(), why)
  await h.check(holder, 'search-refused-revoked')
  // Nobody of another gallery or role is asked at all.
  for (const name of ['Asha Verma', 'Robert Shaw']) {
    const other = await h.as(name)
    for (const path of ['/report/accuracy/passport/revoke', trace]) {
      const answer = await other.goto(h.url(path))
      assert.ok([403, 404].includes(answer.status()), `${name}, ${path}: ${answer.status()}`)
    }
  }
  const anybody = await h.visitor()
  await anybody.goto(h.url('/accuracy'))
  const all = await said(anybody)
  assert.match(all, why)
  assert.equal(all.match(/In force/g).length, 1, 'the other gallery is searched as before')

  // The evaluation it rested on counts no more; another one, the same threshold, and two people.
  const propose = async (file) => {
    await owner.goto(h.url('/report/accuracy'))
    await owner.getByRole('button', { name: 'Propose a threshold again' }).click()
    assert.match(await said(owner), /The last certificate was revoked/)
    await owner.getByLabel('New threshold').fill('0.945')
    await owner.getByLabel('References that the gallery may hold').fill('3,050')
    await owner.getByLabel('Why should it change?').fill('Measured again, with the names put right.')
    await owner.getByLabel('The evaluation').setInputFiles(file)
    await owner.getByRole('button', { name: 'Propose it' }).click()
  }
  await propose(evaluation())
  assert.match(await owner.locator('.govuk-error-summary').innerText(), /A certificate from this evaluation was revoked/)
  const measured = JSON.parse(readFileSync(evaluation()))
  const again = JSON.stringify({ ...measured, several_faces: measured.several_faces + 1 })
  await propose({ name: 'evaluation.json', mimeType: 'application/json', buffer: Buffer.from(again) })
  await owner.getByText('The threshold was proposed').waitFor()
  await leader.goto(h.url('/report/accuracy/passport'))
  await leader.getByRole('button', { name: 'Confirm the new threshold' }).click()
  await leader.getByText('The threshold was changed').waitFor()
  assert.match(await said(leader), /In force/)
  // The new one has carried nothing yet; what the old one carried can still be read.
  await leader.getByRole('link', { name: 'Searches that rest on this certificate' }).click()
  assert.match(await said(leader), /No search that you may see was made under it/)
  await h.check(leader, 'report-accuracy-searches-none')
  await leader.goto(h.url(trace))
  assert.equal(await leader.locator(`a[href="/report/requests/${touched}"]`).count(), 1)
  // The same leave serves.
  await holder.goto(h.url(start))
  await holder.getByRole('button', { name: 'Search now' }).click()
  await holder.getByText('The search was started.').waitFor()
})
