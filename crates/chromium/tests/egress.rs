//! A document reaches neither the network nor the disk.
#![cfg(test)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chromium::{ChromiumError, PrintJob};
use support::{job, scripted, soon, text};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// A server on loopback that counts whoever comes.
struct Trap {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

async fn trap() -> Trap {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let visits = Arc::new(AtomicUsize::new(0));
    let seen = visits.clone();
    tokio::spawn(async move {
        let mut datagram = [0; 16];
        loop {
            tokio::select! {
                _ = tcp.accept() => {}
                _ = udp.recv_from(&mut datagram) => {}
            }
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    Trap { address, visits }
}

/// Everything HTML and CSS can fetch with. `URL` is replaced by the address of the trap.
const PASSIVE: [&str; 34] = [
    "<img src=URL/img>",
    "<img srcset='URL/s 1x'><picture><source srcset=URL/p><img></picture>",
    "<link rel=stylesheet href=URL/css>",
    "<style>@import url(URL/import);</style>",
    "<style>@import 'URL/import' layer(x);</style>",
    "<style>body{background:url(URL/bg);cursor:url(URL/c),auto;border-image:url(URL/b) 1}</style>",
    "<style>p{list-style-image:url(URL/l);mask-image:url(URL/m);filter:url(URL/f#a);shape-outside:url(URL/s);clip-path:url(URL/c#x)}</style><p>x",
    "<style>p::before{content:url(URL/c)}p{background:image-set('URL/i' 1x)}</style><p>x",
    "<style>@font-face{font-family:q;src:url(URL/font)}p{font-family:q}</style><p>font",
    "<iframe src=URL/iframe></iframe>",
    "<frameset><frame src=URL/frame></frameset>",
    "<object data=URL/object></object><embed src=URL/embed>",
    "<applet code=URL/a></applet><portal src=URL/p></portal><fencedframe src=URL/f></fencedframe>",
    "<svg><image href=URL/image width=9 height=9 /><use href='URL/use#a'/></svg>",
    "<svg><image xlink:href=URL/image /><feImage href=URL/fe /><script href=URL/s></script></svg>",
    "<video poster=URL/poster src=URL/video autoplay></video><audio src=URL/audio preload=auto></audio>",
    "<video><source src=URL/source><track default src=URL/track></video>",
    "<link rel=prefetch href=URL/p><link rel=preload as=image href=URL/l><link rel=modulepreload href=URL/m>",
    "<link rel=preconnect href=URL><link rel=dns-prefetch href=URL><link rel=prerender href=URL/r><link rel=next href=URL/n>",
    "<link rel=icon href=URL/icon><link rel='shortcut icon' href=URL/i><link rel=apple-touch-icon href=URL/a><link rel=manifest href=URL/m>",
    "<meta http-equiv=refresh content='0;url=URL/refresh'>kept",
    "<meta http-equiv=Link content='<URL/link>; rel=preload; as=image'>",
    "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'; report-uri URL/csp\"><img src=URL/x>",
    "<a href=URL/a ping=URL/ping autofocus>a</a><form action=URL/form><input type=submit autofocus></form>",
    "<input type=image src=URL/input><body background=URL/body><table background=URL/table><tr><td background=URL/td>x</table>",
    "<img attributionsrc=URL/attribution src=data:,><base href=URL><img src=relative>",
    "<script src=URL/script></script><script type=module src=URL/module></script>",
    "<script type=speculationrules>{\"prefetch\":[{\"urls\":[\"URL/spec\"]}]}</script>",
    "<iframe srcdoc='<img src=URL/inner><link rel=stylesheet href=URL/inner>'></iframe>",
    "<iframe src='data:text/html,<img src=URL/inner>'></iframe>",
    "<img src='data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"URL/svg\"/></svg>'>",
    "<?xml-stylesheet href='URL/xml' type='text/css'?><html manifest=URL/appcache>",
    "<img src=http://169.254.169.254/latest/meta-data/><img src=http://[::1]:PORT/><img src=http://0x7f000001:PORT/><img src=http://2130706433:PORT/>",
    "<img src=http://localhost:PORT/><img src=http://x.localhost:PORT/><img src=ftp://127.0.0.1:PORT/><img src=ws://127.0.0.1:PORT/>",
];

/// Everything scripts can fetch with.
const ACTIVE: [&str; 15] = [
    "<script>fetch('URL/fetch',{mode:'no-cors'})</script>",
    "<script>const x=new XMLHttpRequest();x.open('GET','URL/xhr',false);try{x.send()}catch(e){}</script>",
    "<script>new WebSocket('URL'.replace('http','ws'))</script>",
    "<script>new EventSource('URL/events')</script>",
    "<script>navigator.sendBeacon('URL/beacon','x')</script>",
    "<script>new Image().src='URL/image'</script>",
    "<script>new Worker(URL.createObjectURL(new Blob(['importScripts(\"URL/worker\");fetch(\"URL/w\")'])))</script>",
    "<script>location.href='URL/location'</script>",
    "<script>window.open('URL/open')</script>",
    "<form id=f action=URL/submit></form><script>f.submit()</script>",
    "<script>const i=document.createElement('iframe');i.src='URL/frame';document.documentElement.append(i)</script>",
    "<script>import('URL/module').catch(()=>{})</script>",
    "<script>const p=new RTCPeerConnection({iceServers:[{urls:'stun:HOST'},{urls:'turn:HOST?transport=tcp',username:'a',credential:'b'}]});\
     p.createDataChannel('d');p.createOffer().then(o=>p.setLocalDescription(o))</script>",
    "<script>try{new WebTransport('https://HOST/')}catch(e){}</script>",
    "<script>new FontFace('q','url(URL/font)').load().catch(()=>{});document.cookie='a=b';history.pushState(1,'','#x')</script>",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_document_reaches_a_listener_on_loopback() {
    let trap = trap().await;
    let pool = support::start(|_| {}).await;
    let host = trap.address.to_string();
    let fill = |html: &str| {
        // `URL.` is the script object, not the placeholder.
        let html = html.replace("URL.create", "\u{1}").replace("URL", &format!("http://{host}")).replace('\u{1}', "URL.create");
        format!("<!DOCTYPE html>{}<p>marker", html.replace("HOST", &host).replace("PORT", &trap.address.port().to_string()))
    };
    let passive = PASSIVE.iter().flat_map(|html| [job(&fill(html)), scripted(&fill(html))]);
    let jobs: Vec<PrintJob> = passive.chain(ACTIVE.iter().map(|html| scripted(&fill(html)))).collect();
    let mut blocked = 0;
    for job in jobs {
        let html = job.html.clone();
        match pool.print(job, soon()).await {
            Ok(printed) => {
                blocked += printed.blocked_requests;
                let frameset = html.contains("<frameset");
                assert!(frameset || text(&printed.pdf).contains("marker"), "{html}");
            }
            Err(ChromiumError::Refused { reason }) => assert!(reason.contains("navigates"), "{reason}: {html}"),
            Err(error) => panic!("{error}: {html}"),
        }
        assert_eq!(trap.visits.load(Ordering::SeqCst), 0, "reached by {html}");
    }
    assert!(blocked > 60, "only {blocked} requests were seen to be refused");
    pool.close().await;
    assert_eq!(trap.visits.load(Ordering::SeqCst), 0, "reached by the browser itself");
    // The trap works.
    TcpStream::connect(trap.address).await.unwrap();
    support::eventually("the trap counts a visit", || trap.visits.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_to_another_host_prints_the_document_itself() {
    let pool = support::start(|options| options.tabs = 1).await;
    for target in ["http://169.254.169.254/", "https://example.com/", "file:///etc/passwd", "data:text/html,other"] {
        let html = format!("<meta http-equiv=refresh content='0;url={target}'><p>the document");
        let printed = pool.print(job(&html), soon()).await.unwrap();
        assert_eq!(text(&printed.pdf), "the document", "{target}");
    }
    // This one does replace the document, and says so instead of printing an empty page.
    let replaced = pool.print(job("<meta http-equiv=refresh content='0;url=about:blank'><p>gone"), soon()).await;
    match replaced {
        Err(ChromiumError::Refused { reason }) => assert!(reason.contains("navigates"), "{reason}"),
        Ok(printed) => assert_eq!(text(&printed.pdf), "gone"),
        Err(error) => panic!("{error}"),
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_document_reads_a_file() {
    let pool = support::start(|options| options.tabs = 1).await;
    let secret = pool.runtime.path().join("secret.txt");
    std::fs::write(&secret, "TOPSECRET").unwrap();
    let css = pool.runtime.path().join("secret.css");
    std::fs::write(&css, "p::before{content:'TOPSECRET'}").unwrap();
    let path = secret.display();
    let bodies = [
        format!("<iframe src='file://{path}'></iframe><object data='file://{path}'></object><embed src='file://{path}'>"),
        format!("<link rel=stylesheet href='file://{}'><style>@import 'file://{}';</style>", css.display(), css.display()),
        format!("<iframe src='view-source:file://{path}'></iframe><iframe src='filesystem:file://{path}'></iframe>"),
        format!(
            "<base href='file:///'><iframe src='{path}'></iframe><img src='file://{path}'><meta http-equiv=refresh content='0;url=file://{path}'>"
        ),
        format!(
            "<script>fetch('file://{path}').then(r=>r.text()).then(t=>document.body.append(t)).catch(()=>{{}});\
            const x=new XMLHttpRequest();try{{x.open('GET','file://{path}',false);x.send();document.write(x.responseText)}}catch(e){{}}</script>"
        ),
        format!(
            "<script>const i=document.createElement('iframe');i.src='file://{path}';document.documentElement.append(i);try{{location='file://{path}'}}catch(e){{}}</script>"
        ),
        "<iframe src='chrome://version'></iframe><iframe src='devtools://devtools/bundled/inspector.html'></iframe>".to_owned(),
    ];
    for body in bodies {
        for job in [job(&format!("{body}<p>marker")), scripted(&format!("{body}<p>marker"))] {
            let printed = pool.print(job, soon()).await.unwrap();
            let words = text(&printed.pdf);
            assert!(words.contains("marker") && !words.contains("TOPSECRET"), "{body}: {words}");
        }
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_styles_and_frames_inside_the_document_work() {
    let pool = support::start(|options| options.tabs = 1).await;
    let pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let html = format!(
        "<link rel=stylesheet href=\"data:text/css,p::after{{content:'styled'}}\"><img width=50 height=50 src='{pixel}'>\
         <iframe srcdoc='<p>framed'></iframe><iframe src='data:text/html,<b>embedded'></iframe><p>main "
    );
    for job in [job(&html), scripted(&html)] {
        let printed = pool.print(job, soon()).await.unwrap();
        let words = text(&printed.pdf);
        for word in ["main", "styled", "framed", "embedded"] {
            assert!(words.contains(word), "{word} is missing: {words}");
        }
        assert!(memchr::memmem::find(&printed.pdf, b"/Subtype /Image").is_some(), "the image is missing");
        assert_eq!(printed.blocked_requests, 0);
    }
    pool.close().await;
}
