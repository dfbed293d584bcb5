// Known-answer trials (P1, R1): a leader prepares one on the pages, examiners take it for one more comparison, and
// then each is told how often they are wrong. Where examiners differ in casework stands beside it.

import assert from 'node:assert/strict'
import { File } from 'node:buffer'
import { test } from 'node:test'
import { examined, hand, searched, submitted, taken, takenUp } from './by-hand.mjs'
import { house } from './harness.mjs'

const h = house({ args: process.env.COUNTERSIGN_ARGS ?? 'demo --synthetic 500 --data {data} --listen 127.0.0.1:{port}' })

const { press } = h
const said = async (page) => (await page.locator('main').innerText()).replaceAll('\u00a0', ' ')
const summary = (page) => page.locator('.govuk-error-summary__list li').allInnerTexts()

/** Pictures of one face each: what an examiner is shown of a real request of the demo. */
async function pictures(investigation) {
  const id = await submitted(h, { investigation })
  const asha = await taken(h, id)
  await searched(asha, id)
  const lin = await hand(h, 'Mei Lin')
  const [sheet] = await takenUp(lin, id)
  const { html } = await lin.get(sheet)
  const held = html.match(new RegExp(`${sheet}/[0-9a-f-]{36}`))[0]
  const bytes = async (path) => {
    const answer = await fetch(h.url(path), { headers: { cookie: lin.cookie } })
    assert.equal(answer.status, 200, path)
    return Buffer.from(await answer.arrayBuffer())
  }
  return [await bytes(`${sheet}/probe.jpg`), await bytes(`${held}/held.jpg`)].map((buffer, n) => ({ name: `picture-${n}.jpg`, mimeType: 'image/jpeg', buffer }))
}

test('P1: a leader prepares a trial, examiners compare it like casework, and the truth is told afterwards', async () => {
  const [probe, held] = await pictures('NS/2026/0801')
  // Without a script, as everything.
  const ruth = await h.as('Ruth Adeyemi', { js: false })
  await ruth.goto(h.url('/assess/team'))
  await ruth.getByRole('link', { name: 'Known-answer trials' }).click()
  await h.check(ruth, 'team-trials')
  await press(ruth, 'Prepare a trial')
  await press(ruth, 'Put it before the examiners')
  const wrong = await summary(ruth)
  for (const part of ['where the pictures come from', 'image of a request', '1 to 10 candidates']) assert.ok(wrong.some((w) => w.includes(part)), `${part}: ${wrong}`)
  await ruth.getByLabel('Where do the pictures come from').fill('Colleagues who agreed to it.')
  await ruth.getByLabel('An unidentified person').check()
  await ruth.getByLabel('Not supervised: CCTV').check()
  await ruth.getByLabel('What happened').fill('A theft by deception.')
  await ruth.getByLabel('What is known about the person').fill('About forty, local accent.')
  await ruth.getByLabel('How many days ago').fill('many')
  await press(ruth, 'Save what you wrote')
  assert.deepEqual(await summary(ruth), ['Enter a whole number of days, 0 to 30'])
  assert.equal(await ruth.getByLabel('What happened').inputValue(), 'A theft by deception.', 'nothing typed is lost')
  await ruth.getByLabel('How many days ago').fill('4')
  await press(ruth, 'Save what you wrote')
  await ruth.getByText('What you wrote is saved').waitFor()
  await press(ruth, 'Upload')
  assert.deepEqual(await summary(ruth), ['Choose a picture to upload'])
  await ruth.locator('#probe').setInputFiles({ name: 'words.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('no picture at all') })
  await press(ruth, 'Upload')
  assert.equal((await summary(ruth)).length, 1)
  await ruth.locator('#probe').setInputFiles(probe)
  await press(ruth, 'Upload')
  await ruth.getByText('The picture was added').waitFor()
  await ruth.locator('#candidate').setInputFiles(held)
  await press(ruth, 'Add a candidate')
  await ruth.getByText('The picture was added').waitFor()
  await ruth.locator('#candidate').setInputFiles(held)
  await press(ruth, 'Add a candidate')
  assert.match((await summary(ruth))[0], /twice it would give the trial away/)
  await h.check(ruth, 'team-trial-draft')
  await ruth.getByRole('link', { name: 'Say who candidate 1 is' }).click()
  await press(ruth, 'Save')
  assert.match((await summary(ruth))[0], /Say whether it is the same person/)
  await h.check(ruth, 'team-trial-candidate')
  await ruth.getByLabel('Yes, the same person').check()
  await ruth.getByLabel('Name').fill('Robin Invented')
  await press(ruth, 'Save')
  assert.match(await said(ruth), /The same person\. Name: Robin Invented/)
  await press(ruth, 'Put it before the examiners')
  await ruth.getByText('The trial is before the examiners').waitFor()
  await h.check(ruth, 'team-trial')
  const id = ruth.url().split('/').at(-1)
  const reference = (await said(ruth)).match(/FIS-[0-9A-F]{4}-[0-9A-F]{4}/)[0]

  // In the examiners' list it stands like any other; for everybody else there is no such request.
  const mei = await h.as('Mei Lin')
  await mei.goto(h.url('/review'))
  assert.match(await mei.locator('#open ~ ul').first().innerText(), new RegExp(`${reference}, image 1`))
  await mei.goto(h.url('/review/trials'))
  await h.check(mei, 'review-trials')
  assert.match(await said(mei), /Trials you concluded on\s+0/)
  const asha = await h.as('Asha Verma')
  await asha.goto(h.url('/assess?list=all'))
  assert.ok(!(await said(asha)).includes(reference))
  assert.equal((await asha.goto(h.url(`/assess/${id}`))).status(), 404)
  assert.ok((await asha.goto(h.url(`/assess/team/trials/${id}`))).status() >= 400)

  // One confirms it, the other misses it, a third settles it; only then is anything told.
  await examined(await hand(h, 'Mei Lin'), id, true)
  await examined(await hand(h, 'Owen Clarke'), id, false)
  await mei.goto(h.url('/review/trials'))
  assert.match(await said(mei), /Trials you concluded on\s+0/, 'a third is still asked')
  await ruth.goto(h.url(`/assess/team/trials/${id}`))
  assert.match(await said(ruth), /Not before all have concluded/)
  await examined(await hand(h, 'Fatima Siddiqui'), id, true)

  // At once it would say which comparison it was: the examiners' own page waits until the trial is closed.
  await mei.goto(h.url('/review/trials'))
  assert.match(await said(mei), /Trials you concluded on\s+0/)
  assert.match(await said(mei), /14 days after everybody concluded/)
  await ruth.goto(h.url('/assess/team'))
  await ruth.getByRole('link', { name: 'Differences between examiners' }).click()
  await h.check(ruth, 'team-examiners')
  const table = ruth.getByRole('table', { name: 'Your team in known-answer trials' })
  assert.match(await table.getByRole('row', { name: /Owen Clarke/ }).innerText(), /1 of 1/)
  assert.match((await table.getByRole('row', { name: /Mei Lin/ }).innerText()).replaceAll('\u00a0', ' '), /0 of 1; 0 % to 97 %\. None so far: it may still be 100 %/)
  assert.match(await said(ruth), /In casework: where they agree with one another/)
  await ruth.goto(h.url(`/assess/team/trials/${id}`))
  assert.match(await said(ruth), /Match, which is right/)

  // D4: no figure of casework moved, and the owner reads rates without a name.
  const owner = await h.as('Margaret Ellis')
  await owner.goto(h.url('/report/trials'))
  await h.check(owner, 'report-trials')
  assert.match(await said(owner), /All examiners, each alone/)
  assert.ok(!(await said(owner)).includes('Mei Lin'))

  // Stopped, it counts for nothing.
  await ruth.getByRole('link', { name: /Stop this trial/ }).click()
  await press(ruth, 'Stop the trial')
  assert.match((await summary(ruth))[0], /Say why/)
  await ruth.getByLabel('Why is it stopped?').fill('The pictures were mixed up.')
  await press(ruth, 'Stop the trial')
  await ruth.getByText('counts for nothing').first().waitFor()
  await ruth.goto(h.url('/assess/team/examiners'))
  assert.ok(!/1 of 1/.test(await table.getByRole('row', { name: /Owen Clarke/ }).innerText()))
})
