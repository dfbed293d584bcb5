// Runs before the page is drawn: tells the style sheet that scripts work. It has a file of its own
// because the content security policy allows no script inside a page.
document.body.className += ' js-enabled' + ('noModule' in HTMLScriptElement.prototype ? ' govuk-frontend-supported' : '')
