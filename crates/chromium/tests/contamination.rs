//! No document leaves anything behind for the next one in its tab.
#![cfg(test)]

mod support;

use chromium::{ChromiumError, Lane, PrintJob, scan};
use support::{job, scripted, soon, text, undated};

/// Documents whose look depends on everything a predecessor could have left: title, quirks, fonts, layers, properties,
/// counters, colours, direction, scroll, base address, page size.
const PROBES: [&str; 5] = [
    "<!DOCTYPE html><html lang=en><head><title>Probe</title><style>@page{size:A4;margin:20mm}body{font:12pt Arial}\
     a::after{content:attr(href)}</style></head><body><h1>Probe</h1><p>Text <a href='x.html'>link</a></p>\
     <table border=1><tr><td>1<td>2</table></body></html>",
    "<p>No doctype, no title<table><tr><td>quirks</table><input value=v><button>b</button><select><option>o</select>",
    "<!DOCTYPE html><style>@layer base{p{color:red}}p{font-family:Hostile,Arial,serif;--p:1;width:var(--q,100px)}\
     li{list-style:hostile-style}b{animation:hostile 1s}</style><p>layers and <b>names</b><ol><li>a<li>b</ol>",
    "<!DOCTYPE html><body style='background:Canvas;color:CanvasText'><details><summary>s</summary>d</details>\
     <dialog open>d</dialog><p style='position:fixed;top:0'>fixed</p><a id=t href='#t'>t</a><textarea>a</textarea>",
    "<!DOCTYPE html><meta charset=utf-8><img alt=none src=missing.png><svg width=20 height=20><rect width=9 height=9 \
     fill='url(#hostile)'/></svg><p class=hostile style='view-transition-name:v;anchor-name:--a'>last</p>",
];

/// Documents that try to outlive themselves.
const HOSTILE: [&str; 38] = [
    "<html><body>quirks mode without doctype<title>SECRET</title>",
    "<!DOCTYPE html><base href='https://hostile.example/' target=_top><p>x",
    "<!DOCTYPE html><style>@page{size:A6 landscape;margin:0}@page :first{margin:50mm}</style>x",
    "<!DOCTYPE html><html style='zoom:3'><body style='zoom:2'>x",
    "<!DOCTYPE html><style>@font-face{font-family:Arial;src:local('DejaVu Serif')}@font-face{font-family:Hostile;\
     src:local('DejaVu Sans Mono')}p{font-family:Hostile}</style><p>x<b style='font-family:Arial'>y</b>",
    "<!DOCTYPE html><style>@property --q{syntax:'<length>';inherits:true;initial-value:300px}</style>x",
    "<!DOCTYPE html><style>@layer base,evil;@layer evil{p{font-size:40pt!important}}</style><p>x",
    "<!DOCTYPE html><style>@counter-style hostile-style{system:cyclic;symbols:'!';suffix:' '}@keyframes hostile{to{font-size:\
     99px}}@position-try --t{top:0}@view-transition{navigation:auto}@font-palette-values --h{font-family:Arial}</style>x",
    "<!DOCTYPE html><html dir=rtl lang=ar><body>x",
    "<!DOCTYPE html><meta name=viewport content='width=200,initial-scale=5'>x",
    "<!DOCTYPE html><meta name=theme-color content=red><meta name=referrer content=unsafe-url>x",
    "<!DOCTYPE html><meta charset=utf-16><meta charset=iso-8859-1>x",
    "<!DOCTYPE html><link rel='alternate stylesheet' title=a href='data:text/css,p{color:red}'><link rel=stylesheet title=b \
     href='data:text/css,p{color:green}'><p>x",
    "<!DOCTYPE html><input autofocus value=typed><details open><summary>s</summary></details><div popover id=p>p</div>",
    "<!DOCTYPE html><svg><defs><linearGradient id=hostile><stop stop-color=red /></linearGradient></defs></svg>\
     <div class=hostile style='height:9000px;overflow:scroll'>x</div>",
    "<!DOCTYPE html><body onload='document.title=1' onhashchange='x' onbeforeprint='document.body.innerHTML=\"SECRET\"'><a \
     href='javascript:document.body.textContent=1' autofocus>x</a>",
    "<!DOCTYPE html><div><template shadowrootmode=open><style>p{color:red}</style><p>s</template></div>",
    "<!DOCTYPE html><p contenteditable>x<marquee>m</marquee><blink>b</blink><plaintext>rest</body></html>",
    "<frameset cols=50%,50%><frame src='about:blank'><frame src='data:text/html,x'></frameset>",
    "<!DOCTYPE html><iframe srcdoc='<meta http-equiv=refresh content=0><script>top.x=1</script>SECRET'></iframe>",
    "<!DOCTYPE html><iframe srcdoc='&lt;meta http&#45;equiv=refresh content=0&gt;&lt;meta name=color-scheme content=dark&gt;'></iframe>",
    "<!DOCTYPE html><object data='data:text/html,<p>o'></object><embed src='data:text/html,<p>e'>",
    "<!DOCTYPE html><meta http-equiv=refresh content='0;url=https://hostile.example/'>x",
    "<!DOCTYPE html><meta http-equiv=refresh content='1'>x",
    "<!DOCTYPE html><meta http-equiv=refresh content='0;url=#fragment'>x",
    "<!DOCTYPE html><meta http-equiv=refresh content='0;url=data:text/html,SECRET'>x",
    "<!DOCTYPE html><META/HTTP-EQUIV='Content-Security-Policy' content=\"default-src 'none'\">x",
    "<!DOCTYPE html><meta content=\"default-src 'none'; style-src 'none'\" http-equiv = Content-Security-Policy>x",
    "<!DOCTYPE html><meta http-equiv=default-style content=b><meta http-equiv=content-language content=ar>x",
    "<!DOCTYPE html><meta http-equiv=x-dns-prefetch-control content=on><meta http-equiv=origin-trial content=x>x",
    "<!DOCTYPE html><meta name=color-scheme content=dark>x",
    "<!DOCTYPE html><meta name=' Color-Scheme ' content='dark only'>x",
    "<!DOCTYPE html><meta name='color&#x2d;scheme' content=dark>x",
    "<!DOCTYPE html><html style='color-scheme:dark'><style>:root{color-scheme:dark!important}</style>x",
    "<!DOCTYPE html><script>setInterval(()=>{document.body.innerHTML='SECRET'},1);window.SECRET=1</script>x",
    "<!DOCTYPE html><script>const s=new CSSStyleSheet();s.replaceSync('p{color:red}');document.adoptedStyleSheets=[s];\
     document.fonts.add(new FontFace('Arial','local(\"DejaVu Serif\")'))</script>x",
    "<!DOCTYPE html><script type=speculationrules>{\"prefetch\":[{\"urls\":[\"a\"]}]}</script><script type=importmap>{}</script>x",
    "<!DOCTYPE html><noscript><meta name=color-scheme content=dark><style>p{color:red}</style></noscript>x",
];

#[tokio::test(flavor = "multi_thread")]
async fn after_any_document_the_next_ones_look_as_in_a_fresh_tab() {
    let pool = support::start(|options| options.tabs = 1).await;
    let mut fresh = Vec::new();
    for probe in PROBES {
        let printed = pool.print(job(probe), soon()).await.unwrap();
        fresh.push(undated(&printed.pdf));
    }
    let with_scripts: Vec<PrintJob> = HOSTILE.iter().map(|html| scripted(html)).collect();
    let without: Vec<PrintJob> = HOSTILE.iter().map(|html| job(html)).collect();
    for hostile in without.into_iter().chain(with_scripts) {
        match pool.print(hostile.clone(), soon()).await {
            Ok(printed) => assert!(!printed.pdf.is_empty()),
            // Some replace themselves; then there is nothing right to print.
            Err(ChromiumError::Refused { reason }) => assert!(reason.contains("navigates"), "{reason}"),
            Err(error) => panic!("{error}: {}", hostile.html),
        }
        for (probe, expected) in PROBES.iter().zip(&fresh) {
            let printed = pool.print(job(probe), soon()).await.unwrap();
            assert!(undated(&printed.pdf) == *expected, "after {:?} {}\nthe probe {probe} differs", hostile.scripts, hostile.html);
        }
    }
    assert_eq!(pool.status().restarts, 0);
    pool.close().await;
}

#[test]
fn what_was_seen_to_leak_takes_the_reset_lane() {
    let resets: Vec<bool> = HOSTILE.iter().map(|html| scan(html) == Lane::Reset).collect();
    assert!(HOSTILE.iter().zip(&resets).all(|(html, resets)| *resets || !html.to_lowercase().contains("<meta http-equiv")));
    assert!(resets.iter().filter(|resets| **resets).count() >= 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_leaves_no_global_storage_or_cookie_to_the_next_document() {
    let pool = support::start(|options| options.tabs = 1).await;
    let writer = "<!DOCTYPE html><body><script>window.SECRET='S1';name='S2';document.title='S3';\
        try{localStorage.s='S4'}catch(e){}try{document.cookie='s=S5'}catch(e){}\
        try{new BroadcastChannel('c').postMessage('S6')}catch(e){}document.body.append('written')</script>";
    let reader = "<!DOCTYPE html><body><p id=o></p><script>let s='';try{s=localStorage.s}catch(e){}let c='';\
        try{c=document.cookie}catch(e){}o.textContent=['read',window.SECRET,name,document.title,s,c].join('|')</script>";
    for _ in 0..2 {
        let printed = pool.print(scripted(writer), soon()).await.unwrap();
        assert_eq!(text(&printed.pdf), "written");
        let printed = pool.print(scripted(reader), soon()).await.unwrap();
        assert_eq!(text(&printed.pdf), "read|||||");
        let printed = pool.print(job(&format!("inert{reader}")), soon()).await.unwrap();
        assert_eq!((text(&printed.pdf).as_str(), printed.lane), ("inert", Lane::Reset));
    }
    pool.close().await;
}
