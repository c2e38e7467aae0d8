//! Generated cases: templates grown from a grammar that likes white space, nesting and oddities. The seed decides all.

/// A small generator of numbers (xorshift); repeatable without a dependency.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        for _ in 0..3 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
        }
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }

    fn pick<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        choices[self.roll(choices.len())]
    }
}

const DATA: &[&str] = &[
    r#"{"a":1,"b":{"c":"<x>","d":[1,2,{"e":null}]},"list":[{"n":"one","t":true},{"n":"two","t":false,"list":[0]},null,"s",[]],"empty":[],"zero":0,"no":false,"nil":null,"text":"it's & it","obj":{"k":1,"2":2,"1":[3]},"i":{"list":[[1,2],[3]]}}"#,
    r#"{"list":[1,1,"1",[1],{"a":2}],"a":"A","b":[{"c":0},{"c":1.5}],"text":"","obj":{},"i":null,"zero":-1e-9,"nil":0}"#,
    "[1,[2,3],{\"a\":4}]",
    "\"str\"",
    "null",
];

const PATHS: &[&str] = &[
    "a",
    "b",
    "b.c",
    "b/c",
    "b.d",
    "b.d.[2].e",
    "list",
    "empty",
    "zero",
    "no",
    "nil",
    "text",
    "text.length",
    "obj",
    "i.list",
    "this",
    ".",
    "..",
    "../a",
    "../list",
    "../../a",
    "this.n",
    "./n",
    "n",
    "t",
    "c",
    "@index",
    "@key",
    "@first",
    "@last",
    "@root.a",
    "@root.list",
    "@../index",
    "@../key",
    "list.[0].n",
    "list.length",
    "x",
    "y",
    "x.n",
    "missing",
    "missing.deep",
    "[a]",
    "obj.[1]",
    "../this",
    "../.",
    "@root",
    "if",
    "foothis",
    "x.length",
    "@index.z",
    "@../first",
    "@../last",
    "@../../index",
    "../../this",
    "../../../a",
    "../@index",
    "@root.b.d.[2]",
    "../x",
    "../n",
    "y.length",
    "z",
    "b.[c]",
    "this.[a]",
    "list.[1].list.[0]",
    "@root.i.list.[0].[1]",
];

const SPACE: &[&str] = &["", "", "", " ", "\n", "\n\n", " \n", "\n ", "  \n\t", "\r\n", "x", "x\n", "\nx", " x ", "\u{a0}\n", "\\", "=<&"];

struct Grower {
    dice: Dice,
    out: String,
}

/// One case: a template and data in JSON.
pub fn case(seed: u64) -> (String, String) {
    let mut grower = Grower { dice: Dice::new(seed), out: String::new() };
    let size = 1 + grower.dice.roll(5);
    grower.body(size, 3);
    if grower.dice.roll(12) == 0 {
        grower.damage();
    }
    let data = grower.dice.pick(&[DATA[0], DATA[0], DATA[0], DATA[1], DATA[1], DATA[2], DATA[3], DATA[4]]);
    (grower.out, data.to_owned())
}

impl Grower {
    fn body(&mut self, size: usize, depth: usize) {
        for _ in 0..size {
            self.space();
            match self.dice.roll(if depth == 0 { 5 } else { 11 }) {
                0..=2 => self.output(),
                3 => {
                    let comment = self.dice.pick(&["{{! c }}", "{{!-- c }} --}}", "{{~! c}}", "{{!-- c --~}}", "{{!}}"]);
                    self.out.push_str(comment);
                }
                4 => {
                    let odd = self.dice.pick(&[
                        "\\{{a}}",
                        "\\\\{{a}}",
                        "{ }",
                        "{{{{if a}}}} {{b}} {{{{/if}}}}",
                        "\\{{{a}}}",
                        "{{{{nil}}}}\n{{{{/nil}}}}",
                        "{{{{each list}}}}{{#if x}} {{{{/each}}}}",
                        "{{{{with b}}}}\n {{c}} {{{y}}}\n{{{{/with}}}}",
                        "{{{{unless no}}}}{{{{if a}}}}x{{{{/if}}}}{{{{/unless}}}}",
                        "{{else}}",
                        "\\\\\\{{a}}",
                    ]);
                    self.out.push_str(odd);
                }
                _ => self.block(depth - 1),
            }
            self.space();
        }
    }

    fn space(&mut self) {
        let space = self.dice.pick(SPACE);
        self.out.push_str(space);
    }

    fn tilde(&mut self) {
        if self.dice.roll(6) == 0 {
            self.out.push('~');
        }
    }

    fn path(&mut self) {
        let path = self.dice.pick(PATHS);
        self.out.push_str(path);
    }

    fn value(&mut self, depth: usize) {
        match self.dice.roll(if depth == 0 { 6 } else { 7 }) {
            0 => {
                let literal = self.dice.pick(&["1", "0", "-2.5", "\"n\"", "'a'", "true", "false", "null", "undefined", "\"list\"", "\"\""]);
                self.out.push_str(literal);
            }
            6 => {
                self.out.push_str("(lookup ");
                self.value(depth - 1);
                self.out.push(' ');
                self.value(depth - 1);
                self.out.push(')');
            }
            _ => self.path(),
        }
    }

    fn output(&mut self) {
        let raw = self.dice.roll(4) == 0;
        self.out.push_str("{{");
        self.tilde();
        if raw {
            self.out.push('{');
        }
        match self.dice.roll(8) {
            0 => {
                self.out.push_str("lookup ");
                self.value(1);
                self.out.push(' ');
                self.value(1);
            }
            1 => self.out.push_str("log a"),
            _ => {
                // A helper's name alone is where the two differ on purpose.
                let start = self.out.len();
                self.path();
                if &self.out[start..] == "if" {
                    self.out.replace_range(start.., "this.if");
                }
            }
        }
        if raw {
            self.out.push('}');
        }
        self.tilde();
        self.out.push_str("}}");
        if raw {
            // Next to each other JavaScript would add two numbers instead of joining their texts.
            self.out.push('|');
        }
    }

    fn head(&mut self, name: &str) {
        if !name.is_empty() {
            self.out.push_str(name);
            self.out.push(' ');
            self.value(2);
            if matches!(name, "if" | "unless") && self.dice.roll(5) == 0 {
                self.out.push_str(" includeZero=");
                self.value(0);
            }
        }
    }

    /// Sometimes the names of a block's parameters.
    fn parameters(&mut self, name: &str) {
        if self.dice.roll(3) == 0 {
            let one = [" as |x|", " as |y|", " as | z |"];
            let two = [" as |x|", " as |x y|", " as | y x |", " as |z\n|"];
            let params = if name == "with" { self.dice.pick(&one) } else { self.dice.pick(&two) };
            self.out.push_str(params);
        }
    }

    fn block(&mut self, depth: usize) {
        let inverted = self.dice.roll(8) == 0;
        let plain = self.dice.roll(4) == 0;
        let name = if plain {
            self.dice.pick(&["a", "b", "list", "empty", "obj", "no", "nil", "missing", "zero", "this", "b.d", "i.list", "../list", "text"])
        } else {
            self.dice.pick(&["if", "each", "with", "unless", "each", "if"])
        };
        self.out.push_str("{{");
        self.tilde();
        self.out.push(if inverted { '^' } else { '#' });
        if plain {
            self.out.push_str(name);
        } else {
            self.head(name);
        }
        if matches!(name, "each" | "list" | "with") && !inverted {
            self.parameters(name);
        }
        self.tilde();
        self.out.push_str("}}");
        let size = self.dice.roll(3);
        self.body(size, depth);
        let mut chain = if inverted { 0 } else { self.dice.roll(4) };
        while chain > 1 {
            chain -= 1;
            self.out.push_str("{{");
            self.tilde();
            self.out.push_str("else ");
            let name = self.dice.pick(&["if", "each", "with", "unless"]);
            self.head(name);
            if matches!(name, "each" | "with") {
                self.parameters(name);
            }
            self.tilde();
            self.out.push_str("}}");
            let size = self.dice.roll(3);
            self.body(size, depth);
        }
        if self.dice.roll(3) == 0 {
            self.out.push_str("{{");
            self.tilde();
            let inverse = self.dice.pick(&["else", "^", " else "]);
            self.out.push_str(inverse);
            self.tilde();
            self.out.push_str("}}");
            let size = self.dice.roll(3);
            self.body(size, depth);
        }
        self.out.push_str("{{");
        self.tilde();
        self.out.push('/');
        self.out.push_str(name);
        self.tilde();
        self.out.push_str("}}");
    }

    /// Removes or doubles a character somewhere, so that refusing is compared too.
    fn damage(&mut self) {
        let marks: Vec<usize> = self.out.char_indices().filter(|(_, c)| "{}#/~\"'|()=[]".contains(*c)).map(|(at, _)| at).collect();
        if marks.is_empty() {
            return;
        }
        let at = marks[self.dice.roll(marks.len())];
        if self.dice.roll(2) == 0 {
            self.out.remove(at);
        } else {
            let mark = self.out.as_bytes()[at];
            self.out.insert(at, char::from(mark));
        }
    }
}
