"""What the page of a timeline has beside the style of all pages: its own, and a little script."""

from __future__ import annotations

STYLE = """
:root { --tone: 46%; --faint: 88% }
@media (prefers-color-scheme: dark) { :root { --tone: 62%; --faint: 24% } }
.stage { display: flex; gap: 1rem; flex-wrap: wrap; align-items: flex-start; margin: .4rem 0 1rem }
.stage video {
  flex: 1 1 26rem; max-width: 100%; max-height: 22rem; background: #000; border-radius: 8px;
  min-width: 0;
}
.tools { display: flex; align-items: center; gap: .5rem; margin: .2rem 0 .5rem }
.tools .now { font-variant-numeric: tabular-nums; font-weight: 600 }
.tools .what { color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.tools button {
  font: inherit; line-height: 1; padding: .35rem .7rem; border-radius: 7px; cursor: pointer;
  color: var(--ink); background: var(--code); border: 1px solid var(--line);
}
.tools button:disabled { opacity: .4; cursor: default }
.tools .zoom { margin-left: auto; display: flex; gap: .35rem }
.still .tools { display: none }
.axis { overflow-x: auto; overflow-y: hidden; padding-bottom: .3rem }
.track { position: relative; width: calc(100% * var(--zoom, 1)); min-width: 100% }
.shots {
  position: relative; height: 54px; margin-bottom: 6px; overflow: hidden; border-radius: 6px;
}
.shot {
  display: block; background-color: #000; background-repeat: no-repeat; border-radius: 4px;
  aspect-ratio: var(--aspect);
}
.shots .shot {
  position: absolute; top: 0; height: 100%; transform: translateX(-50%); border-radius: 3px;
}
.band { position: relative; height: 34px; background: var(--code); border-radius: 6px }
.seg {
  position: absolute; top: 0; height: 100%; min-width: 2px; padding: 0 0 0 .35em; border: 0;
  border-radius: 4px; overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  text-align: left; font: 600 12px/34px system-ui,-apple-system,"Segoe UI",sans-serif;
  color: #fff; background: hsl(var(--h) 62% 40%); cursor: pointer;
  box-shadow: inset 0 0 0 1px rgb(255 255 255 / .18);
}
.seg.narrow { padding: 0; font-size: 0; border-radius: 2px }
.seg:hover, .seg:focus-visible, .seg.on {
  outline: 2px solid var(--ink); outline-offset: 1px; z-index: 2;
}
.curves { position: relative; height: 120px; margin-top: 8px }
.curves svg { position: absolute; inset: 0; width: 100%; height: 100%; max-width: none }
.curves path {
  fill: none; stroke: hsl(var(--h) 65% var(--tone)); stroke-width: 1.6; stroke-linejoin: round;
  vector-effect: non-scaling-stroke;
}
.curves path.base { stroke: var(--line); stroke-width: 1 }
.curves path.threshold { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4 }
.rule { position: sticky; left: 0; width: 0; height: 0 }
.rule span {
  position: absolute; left: 2px; color: var(--soft); font-size: 11px; white-space: nowrap;
  background: var(--card); padding: 0 .25em; border-radius: 3px; line-height: 1.25;
}
.ticks { position: relative; height: 24px; margin-top: 2px; border-top: 1px solid var(--line) }
.ticks span {
  position: absolute; top: 0; padding-top: 5px; transform: translateX(-50%); font-size: 11px;
  color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap;
}
.ticks span::before {
  content: ""; position: absolute; left: 50%; top: 0; height: 5px;
  border-left: 1px solid var(--soft);
}
.ticks span.first { transform: none }
.ticks span.first::before { left: 0 }
.ticks .l2, .ticks .l3, .shots .l2, .shots .l3 { display: none }
.z2 .ticks .l2, .z3 .ticks .l2, .z3 .ticks .l3 { display: block }
.z2 .shots .l2, .z3 .shots .l2, .z3 .shots .l3 { display: block }
.cursor, .hover {
  position: absolute; top: 0; bottom: 20px; width: 0; border-left: 2px solid rgb(var(--wrong));
  pointer-events: none; z-index: 3; left: 0;
}
.hover { border-left: 1px solid var(--soft); opacity: .8 }
.still .cursor, .hover.off { display: none }
.peek {
  position: fixed; z-index: 9; pointer-events: none; padding: .4rem .5rem; border-radius: 8px;
  background: var(--card); border: 1px solid var(--line); box-shadow: 0 4px 18px rgb(0 0 0 / .25);
  font-size: .82rem; max-width: 15rem; overflow-wrap: anywhere;
}
.peek.off { display: none }
.peek .shot { height: 90px; margin-bottom: .3rem; max-width: 13rem }
.dot {
  display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .5em;
  background: hsl(var(--h) 62% var(--tone)); vertical-align: -.04em; flex: none;
}
.keys { margin: .5rem 0 0; display: flex; flex-wrap: wrap; gap: .15rem 1.1rem }
.shares .bar { width: 5rem; margin: 0 }
.bar i.hue { background: hsl(var(--h) 62% var(--tone)) }
table.list td.shotcell { width: 74px; padding-right: .8rem }
.shotcell .shot { height: 38px; max-width: 74px }
table.list tr.seek { cursor: pointer }
table.list tr.seek > * { vertical-align: middle }
table.list tr.seek:hover > * { background: var(--code) }
table.list tr.on > * { background: hsl(var(--h) 60% var(--faint)) }
@media print { .axis { overflow: visible } .tools { display: none } }
"""

SCRIPT = """
(() => {
  'use strict';
  const one = (name) => document.querySelector(name);
  const all = (name) => [...document.querySelectorAll(name)];
  const stage = one('#timeline'), axis = one('.axis'), track = one('.track');
  const video = one('video'), cursor = one('.cursor'), hover = one('.hover'), peek = one('.peek');
  const total = Number(track.dataset.seconds), most = Number(track.dataset.zoom);
  const segments = all('.seg'), rows = all('tr.seek'), shots = all('.shots .shot');
  const clock = (s) => {
    const tenths = Math.round(s * 10), whole = Math.floor(tenths / 10);
    const two = (n) => String(n).padStart(2, '0');
    return Math.floor(whole / 3600) + ':' + two(Math.floor(whole / 60) % 60) + ':' +
      two(whole % 60) + '.' + tenths % 10;
  };
  const at = (s) => segments.find((g) => g.dataset.start <= s && s < g.dataset.end);
  const show = (s) => {
    const found = at(s);
    cursor.style.left = 100 * Math.min(1, s / total) + '%';
    one('.now').textContent = clock(s);
    one('.what').textContent = found ? found.dataset.label : '';
    segments.forEach((g) => g.classList.toggle('on', g === found));
    const start = found ? found.dataset.start : '';
    rows.forEach((r) => r.classList.toggle('on', r.dataset.start === start));
  };
  const follow = (s) => {
    const x = s / total * track.clientWidth, wide = axis.clientWidth;
    if (x < axis.scrollLeft || x > axis.scrollLeft + wide) axis.scrollLeft = x - wide / 4;
  };
  const go = (s) => {
    if (video) video.currentTime = s;
    show(s);
    follow(s);
  };
  let zoom = 1;
  const enlarge = (factor, x) => {
    const before = zoom, from = axis.scrollLeft;
    zoom = Math.max(1, Math.min(most, zoom * factor));
    track.style.setProperty('--zoom', zoom);
    track.className = 'track' + (zoom >= 16 ? ' z3' : zoom >= 4 ? ' z2' : '');
    axis.scrollLeft = (from + x) * zoom / before - x;
    one('.out').disabled = zoom <= 1;
    one('.in').disabled = zoom >= most;
    fit();
  };
  const fit = () => segments.forEach((g) => g.classList.toggle('narrow', g.offsetWidth < 46));
  const middle = () => {
    const x = parseFloat(cursor.style.left || '0') / 100 * track.clientWidth - axis.scrollLeft;
    return x > 0 && x < axis.clientWidth ? x : axis.clientWidth / 2;
  };
  one('.in').onclick = () => enlarge(2, middle());
  one('.out').onclick = () => enlarge(0.5, middle());
  axis.addEventListener('wheel', (e) => {
    if (!e.ctrlKey) return;
    e.preventDefault();
    enlarge(e.deltaY < 0 ? 1.25 : 0.8, e.clientX - axis.getBoundingClientRect().left);
  }, { passive: false });
  const seconds = (e) => {
    const box = track.getBoundingClientRect();
    return Math.max(0, Math.min(total, (e.clientX - box.left) / box.width * total));
  };
  track.addEventListener('click', (e) => {
    const hit = e.target.closest('.seg');
    go(hit ? Number(hit.dataset.start) : seconds(e));
  });
  rows.forEach((r) => { r.onclick = () => go(Number(r.dataset.start)); });
  track.addEventListener('pointermove', (e) => {
    const s = seconds(e), found = at(s), box = track.getBoundingClientRect();
    hover.style.left = 100 * s / total + '%';
    hover.classList.remove('off');
    peek.classList.remove('off');
    peek.textContent = '';
    if (shots.length) {
      const gap = (p) => Math.abs(p.dataset.at - s);
      const near = shots.reduce((a, b) => gap(b) < gap(a) ? b : a).cloneNode();
      near.className = 'shot';
      near.style.left = '';
      peek.append(near);
    }
    peek.append(clock(s) + (found ? '  ' + found.dataset.label : ''));
    const wide = peek.offsetWidth, high = peek.offsetHeight;
    const left = Math.min(innerWidth - wide - 8, Math.max(8, e.clientX - wide / 2));
    const above = box.top - high - 8;
    peek.style.left = left + 'px';
    peek.style.top = (above > 4 ? above : box.bottom + 8) + 'px';
  });
  track.addEventListener('pointerleave', () => {
    hover.classList.add('off');
    peek.classList.add('off');
  });
  if (video) {
    video.addEventListener('timeupdate', () => {
      show(video.currentTime);
      if (!video.paused) follow(video.currentTime);
    });
    video.addEventListener('error', () => video.remove());
  }
  stage.classList.remove('still');
  addEventListener('resize', fit);
  enlarge(1, 0);
  show(0);
})();
"""
