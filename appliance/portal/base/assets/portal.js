// Everything works without this file. With it: a session warns before it ends, and one tick ticks all.
"use strict";

const body = document.body;
if (body.dataset.ends) {
  const notice = document.getElementById("fin");
  let timer;
  const warnIn = (seconds) => {
    clearTimeout(timer);
    notice.hidden = true;
    timer = setTimeout(() => { notice.hidden = false; }, Math.max(0, seconds - body.dataset.warn) * 1000);
  };
  warnIn(body.dataset.ends - body.dataset.now);
  document.getElementById("continuer").addEventListener("click", async () => {
    const answer = await fetch("/session", { redirect: "error" }).catch(() => null);
    if (!answer || !answer.ok) { location.assign("/connexion"); return; }
    warnIn(Number(await answer.text()));
    document.querySelector("h1").setAttribute("tabindex", "-1");
    document.querySelector("h1").focus();
  });
}

document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-ticks]");
  if (!all) return;
  for (const box of document.getElementsByName(all.dataset.ticks)) box.checked = all.checked;
});
for (const box of document.querySelectorAll("[data-ticks]")) box.closest("[hidden]").hidden = false;
