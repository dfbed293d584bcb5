// Accuracy (P1): what everybody may read and check, and another threshold, which takes two people.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
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
