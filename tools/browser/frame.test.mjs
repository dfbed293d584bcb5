// The frame of every page: signing in, one page with everything that repeats, errors, the loss of a
// session, and the pages about the service. Runs on the example server `frame` of crates/web.

import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { house } from './harness.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const h = house({
  bin: process.env.COUNTERSIGN_FRAME_BIN ?? join(root, 'target/debug/examples/frame'),
  args: '127.0.0.1:{port}'
})

test('the sign-in page', async () => {
  const page = await h.visitor()
  await page.goto(h.url('/'))
  assert.equal(new URL(page.url()).pathname, '/sign-in')
  await h.check(page, 'sign-in')
})

test('everything that repeats', async () => {
  const page = await h.as('Morgan Hale')
  await h.check(page, 'frame')
  await page.getByRole('button', { name: 'Save' }).click()
  assert.equal(await page.locator('.govuk-error-summary a').first().innerText(), 'Enter the reason for urgency')
  await h.check(page, 'frame-errors')
  await page.locator('.govuk-error-summary a').first().click()
  assert.equal(await page.evaluate(() => document.activeElement.id), 'reason', 'the summary leads to the field')
  await page.keyboard.type('A child is missing')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('The note was saved.').waitFor()
  await h.check(page, 'frame-saved')
})

for (const js of [true, false]) {
  test(`a session that ends mid-form loses nothing, ${js ? 'with' : 'without'} scripts`, async () => {
    const page = await h.as('Morgan Hale', { js })
    await page.getByLabel('Why is it urgent?').fill('Typed before the session ended')
    await page.context().clearCookies()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('It has been kept').waitFor()
    await page.getByRole('button', { name: /^Sign in as Morgan Hale/ }).click()
    await page.getByText('Typed before the session ended').waitFor()
    await h.check(page, js ? 'kept' : null)
    await page.getByRole('button', { name: 'Send it now' }).click()
    await page.getByText('The note was saved.').waitFor()
  })
}

test('a clause opens its text', async () => {
  const page = await h.as('Asha Verma')
  await page.goto(h.url('/policy#A7'))
  assert.ok(await page.locator('#A7').isVisible())
  await h.check(page, 'policy')
})

test('pages about the service, and a page that is not there', async () => {
  const page = await h.as('Lewis Okoro')
  for (const name of ['recorded', 'privacy', 'accessibility']) {
    await page.goto(h.url(`/${name}`))
    await h.check(page, name)
  }
  const answer = await page.goto(h.url('/nowhere'))
  assert.equal(answer.status(), 404)
  await h.check(page, 'not-found')
})

test('signing out ends it', async () => {
  const page = await h.as('Morgan Hale', { js: false })
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('You have signed out.').waitFor()
  await page.goto(h.url('/intake'))
  assert.equal(new URL(page.url()).pathname, '/sign-in')
})
