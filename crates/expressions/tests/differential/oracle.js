// Renders every case of standard input (one JSON array of [template, data, partials?]) with handlebars.js and prints the
// results as one JSON array: {"ok": text} or {"error": message}.
const Handlebars = require(process.argv[2]);
// Its `log` helper and its warnings would otherwise land between the results.
console.log = console.info = console.warn = console.error = console.debug = function () {};
let input = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => { input += chunk; });
process.stdin.on('end', () => {
  const results = JSON.parse(input).map(([template, data, partials]) => {
    try {
      return { ok: Handlebars.compile(template)(JSON.parse(data), partials && { partials: Object.fromEntries(partials) }) };
    } catch (error) {
      return { error: String(error && error.message) };
    }
  });
  process.stdout.write(JSON.stringify(results));
});
