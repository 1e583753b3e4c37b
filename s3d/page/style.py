"""The style sheet of pages: one column, cards, blue for right, orange for wrong."""

STYLE = """
:root {
  color-scheme:  light dark; --page: #f5f6f8; --card: #fff; --ink: #1b2330; --soft: #5b6675;
  --line: #e1e5eb; --right: 37 99 235; --wrong: 217 95 14; --warn: #9a3412; --warnbg: #fff4e6;
  --code: #f0f2f6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151b; --card: #1a2029; --ink: #e6eaf0; --soft: #9aa6b5; --line: #2d3541;
    --right: 86 148 255; --wrong: 245 132 38; --warn: #ffb77a; --warnbg: #33241a; --code: #12171e;
  }
}
* { box-sizing: border-box }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 2rem 1.25rem 4rem }
a { color: inherit }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 0 0 .2rem }
h3 { font-size: .95rem; margin: 0 0 .25rem }
p { margin: .2rem 0 .8rem }
.lead { font-size: 1.08rem; max-width: 52rem; overflow-wrap: anywhere }
.soft, caption, figcaption { color: var(--soft); font-size: .88rem }
section, .tile {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.1rem 1.25rem; min-width: 0;
}
section { margin-top: 1rem }
.tiles {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit,minmax(min(100%,13rem),1fr));
  margin: 1.25rem 0 0; padding: 0;
}
.tile dt { color: var(--soft); font-size: .88rem }
.tile dd { margin: 0 }
.tile .big { font-size: 2.1rem; font-weight: 650; line-height: 1.25 }
.tile.main .big { color: rgb(var(--right)) }
.tile.warn .big { color: var(--warn) }
.columns {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit,minmax(min(100%,25rem),1fr));
}
.side { display: flex; flex-wrap: wrap; gap: 0 1rem }
.side > section { flex: 1 1 auto; max-width: 100%; min-width: min(100%, 20rem) }
.side p { width: 0; min-width: 100% }
.side > section:last-child { flex: 1 1 22rem }
.charts {
  display: grid; gap: .5rem 1.5rem; margin-top: .6rem;
  grid-template-columns: repeat(auto-fit,minmax(min(100%,19rem),1fr));
}
figure { margin: 0; min-width: 0 }
dl.facts {
  display: grid; grid-template-columns: minmax(6rem,max-content) 1fr; gap: .3rem 1.1rem;
  margin: .5rem 0 0;
}
dl.facts dt { color: var(--soft) }
dl.facts dd { margin: 0; overflow-wrap: anywhere }
ul.notes { margin: .5rem 0 0; padding: 0; list-style: none }
ul.notes li {
  padding: .45rem .75rem; margin-bottom: .45rem; border-left: 3px solid rgb(var(--right) / .55);
  background: var(--code); border-radius: 0 6px 6px 0; overflow-wrap: anywhere;
}
ul.notes li.warn { border-color: var(--warn); background: var(--warnbg); color: var(--warn) }
svg { display: block; width: 100%; height: auto; max-width: 560px }
svg text { font-size: 11px; fill: var(--soft) }
svg text.best { fill: var(--ink); font-weight: 600 }
svg .grid { stroke: var(--line) }
svg .best { stroke: var(--soft); stroke-dasharray: 3 3; fill: none }
svg text.best { stroke: none }
svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round }
svg .train { color: var(--soft) }
svg .val, svg .rate { color: rgb(var(--right)) }
svg g polyline { stroke: currentColor }
svg g circle { fill: currentColor }
svg .train polyline { stroke-dasharray: 5 3 }
svg circle.ring { fill: var(--card); stroke: currentColor; stroke-width: 2.5 }
.key::before {
  content: ""; display: inline-block; width: 1.6em; border-top: 2.5px solid rgb(var(--right));
  vertical-align: middle; margin: 0 .4em 0 .9em;
}
.key.train::before { border-top-style: dashed; border-color: var(--soft) }
.scroll { overflow: auto; max-width: 100% }
.tall { max-height: 36rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { text-align: left }
table.list { width: 100%; font-size: .92rem; margin-top: .4rem }
table.list th { text-align: left; font-weight: 600 }
table.list thead th {
  color: var(--soft); border-bottom: 1px solid var(--line); position: sticky; top: 0;
  background: var(--card); z-index: 1; font-weight: 500;
}
table.list th, table.list td {
  padding: .32rem .8rem .32rem 0; vertical-align: top; overflow-wrap: anywhere;
}
table.list tbody tr + tr > * { border-top: 1px solid var(--line) }
table.list .n { text-align: right; white-space: nowrap; overflow-wrap: normal }
table.list tbody th { font-weight: 500; min-width: 9rem }
table.list .keep { white-space: nowrap; overflow-wrap: normal }
.side .bar { width: 4.5rem }
.bar {
  display: inline-block; width: 7rem; height: .6rem; border-radius: 3px; background: var(--line);
  overflow: hidden; vertical-align: baseline; margin-right: .6rem;
}
.bar i { display: block; height: 100%; background: rgb(var(--right)) }
.bar.bad i { background: rgb(var(--wrong)) }
table.heat {
  margin: .6rem 0 .2rem; --cell: 2.7rem; --name: 13rem; table-layout: fixed; font-size: .88rem;
  width: max-content;
}
table.heat.medium { --cell: 1.75rem; font-size: .75rem }
table.heat.small { --cell: 15px; font-size: 7.5px }
table.heat.small th { font-size: 10px }
table.heat td {
  width: var(--cell); min-width: var(--cell); height: var(--cell); text-align: center; padding: 0;
  border: 1px solid var(--line);
}
table.heat td.right { background: rgb(var(--right) / var(--a)) }
table.heat td.wrong { background: rgb(var(--wrong) / var(--a)) }
table.heat td.strong { color: #fff }
table.heat th {
  font-weight: 500; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; padding: 0;
}
table.heat tbody th {
  text-align: right; padding-right: .6rem; max-width: var(--name); position: sticky; left: 0;
  background: var(--card);
}
table.heat thead th { vertical-align: bottom }
table.heat thead td { border: 0; width: auto }
table.heat thead th span {
  writing-mode: vertical-rl; transform: rotate(180deg); max-height: 10rem; overflow: hidden;
  text-overflow: ellipsis; display: inline-block; vertical-align: bottom; padding-top: .4rem;
}
.swatch {
  display: inline-block; width: .9em; height: .9em; border-radius: 3px; vertical-align: -.08em;
  margin: 0 .35em 0 .2em; background: rgb(var(--right));
}
.swatch.wrong { background: rgb(var(--wrong)) }
.strips {
  display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill,minmax(min(100%,30rem),1fr)); margin-top: .7rem;
}
.strip img, .strip .none {
  display: block; max-width: 100%; height: auto; background: #000; padding: 5px 4px;
  border-radius: 6px;
}
.strip .none { color: #bbb; padding: 1.2rem; text-align: center; font-size: .88rem }
.strip figcaption { margin-top: .4rem; overflow-wrap: anywhere }
.strip figcaption b { color: var(--ink) }
pre {
  background: var(--code); border: 1px solid var(--line); border-radius: 8px;
  padding: .6rem .8rem; margin: .3rem 0 .8rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .88rem; user-select: all;
}
pre, code { font-family: ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace }
summary { cursor: pointer; margin-top: .7rem; color: var(--soft) }
@media (max-width:640px) {
  .bar { width: 3.5rem }
  table.heat { --name: 7rem }
}
@media print {
  body { background: #fff }
  section, .tile, .strip { break-inside: avoid }
  .tall { max-height: none }
}
"""
