"""How a report looks: light and dark, on paper and on a phone. It loads nothing."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --paper: #fff; --line: #d5dae1;
        --box: #f2f4f8; --heat: #1f6fd1; --bar: #cfe0f6; --good: #1a7f46; --bad: #b3261e;
        --c0: #1f6fd1; --c1: #d1495b; --c2: #2a9d5c; --c3: #b7791f; --c4: #7b4fc9; --c5: #00798c; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #dde3ea; --soft: #98a4b3; --paper: #14181d; --line: #333b45; --box: #1d232a; --heat: #4c94ec;
          --bar: #24425f; --good: #5cc98b; --bad: #ff8a80; --c0: #6cabf5; --c1: #f07f8d; --c2: #5cc98b;
          --c3: #e0a94f; --c4: #ab8af0; --c5: #4fc3d3; } }
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto 4rem; padding: 0 1rem;
       color: var(--ink); background: var(--paper); overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin-bottom: .3rem; }
h2 { font-size: 1.25rem; margin: 0 0 .6rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
section { margin-top: 2.4rem; padding-top: 1.4rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--c0); } nav { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; }
p.note, figcaption, .key { color: var(--soft); font-size: .88rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; padding: 0; }
.tiles div { background: var(--box); border-radius: 8px; padding: .7rem 1rem; flex: 1 1 9rem; }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles div:first-child b { color: var(--c0); } .tiles span { color: var(--soft); font-size: .88rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .94rem; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { vertical-align: bottom; }
.plain td, .plain th { white-space: nowrap; }
.words td, .words th { text-align: left; vertical-align: top; }
.summary tr:last-child td { font-weight: 600; }
.matrix td, .matrix th { padding: .2rem .35rem; font-size: .8rem; border: 0; text-align: center; }
.matrix th { font-weight: 400; white-space: nowrap; }
.matrix td:first-child { text-align: right; white-space: nowrap; }
.matrix .turned { writing-mode: vertical-rl; transform: rotate(180deg); display: inline-block; }
td.heat { background: color-mix(in srgb, var(--heat) var(--share), transparent); min-width: 2.2rem; }
td.heat.full { color: #fff; }
td.bar { background: linear-gradient(90deg, var(--bar) var(--share), transparent var(--share));
         min-width: 6.5rem; }
td.good { color: var(--good); } td.bad { color: var(--bad); }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .45em;
          border: 1px solid var(--line); vertical-align: -.05em; }
.key > span { display: inline-block; margin-right: 1rem; }
img { max-width: 100%; height: auto; border-radius: 6px; } .figure { background: #fff; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem;
       margin: .3rem 0 1rem; break-inside: avoid; }
.row.broad { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.row figure { margin: 0; } .row img { display: block; width: 100%; max-width: 26rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr));
          gap: 1.2rem; }
.charts figure { margin: 0; break-inside: avoid; } .charts figcaption { color: var(--ink); font-weight: 600; }
svg { width: 100%; height: auto; display: block; overflow: visible; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .zero { stroke: var(--soft); stroke-dasharray: 4 3; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .faint { opacity: .3; stroke-width: 1.2; }
.shaded { white-space: pre-wrap; overflow-wrap: anywhere; font: .92rem/1.9 ui-monospace, monospace;
          border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; max-height: 30rem;
          overflow-y: auto; }
.shaded .heat { background: color-mix(in srgb, var(--heat) var(--share), transparent); border-radius: 2px; }
.click { position: relative; overflow: hidden; cursor: crosshair; border-radius: 6px; max-width: 40rem;
         touch-action: manipulation; }
.click img { display: block; width: 100%; border-radius: 0; }
.click canvas { position: absolute; left: 0; top: 0; pointer-events: none; image-rendering: pixelated;
                opacity: .72; }
.click:focus-visible { outline: 3px solid var(--c0); outline-offset: 2px; }
.click i { position: absolute; width: 13px; height: 13px; margin: -7px 0 0 -7px; border: 2px solid #fff;
           border-radius: 50%; box-shadow: 0 0 0 2px #000; pointer-events: none; }
.choices { display: flex; flex-wrap: wrap; gap: .4rem; margin: .6rem 0; min-height: 2.2rem; }
.choices button { font: inherit; font-size: .88rem; color: var(--ink); background: var(--box);
                  cursor: pointer; border: 1px solid var(--line); border-radius: 6px; padding: .25rem .7rem; }
.choices button[aria-pressed=true] { border-color: var(--c0); box-shadow: inset 0 0 0 1px var(--c0); }
[hidden] { display: none !important; }
pre { background: var(--box); border-radius: 6px; padding: .6rem .8rem; margin: .25rem 0 1rem;
      overflow-x: auto;
      user-select: all; -webkit-user-select: all; font: .86rem/1.5 ui-monospace, monospace; }
code { background: var(--box); padding: .1rem .3rem; border-radius: 4px; font-size: .9em; }
@media print { body { font-size: 11px; max-width: none; margin: 0; } nav { display: none; }
  pre { white-space: pre-wrap; } h2, h3 { break-after: avoid; } tr, .tiles div { break-inside: avoid; } }
"""
