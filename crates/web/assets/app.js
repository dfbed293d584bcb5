// Enhancements. Every page works without this file; it only makes some of them nicer.
import { initAll } from './govuk-frontend.min.js'

initAll()

// A form that has been sent is not sent again by an impatient second click. The server would notice
// (each form carries `_once`), but the person should not have to read about it.
for (const form of document.querySelectorAll('form[method="post"]')) {
  let sent = false
  form.addEventListener('submit', (event) => {
    if (sent) event.preventDefault()
    sent = true
    // Coming back by the back button must find a form that works.
    window.addEventListener('pageshow', () => { sent = false }, { once: true })
  })
}

for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false
  button.addEventListener('click', () => window.print())
}
