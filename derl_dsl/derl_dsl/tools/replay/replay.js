const find = document.getElementById("find");
const only = document.getElementById("only");
const from = document.getElementById("step");
const told = document.getElementById("told");
function filter() {
  const words = find.value.toLowerCase();
  let shown = 0;
  for (const group of document.querySelectorAll("details.group")) {
    const here = !from.value || group.dataset.step === from.value;
    const prompt = group.querySelector("pre.prompt").textContent.toLowerCase();
    let any = false;
    for (const one of group.querySelectorAll(".rollout")) {
      const kind = !only.value || one.classList.contains(only.value);
      const text = !words || prompt.includes(words) || one.textContent.toLowerCase().includes(words);
      const on = here && kind && text;
      one.hidden = !on;
      any = any || on;
      shown += on ? 1 : 0;
    }
    group.hidden = !any;
  }
  told.textContent = shown + " rollouts";
}
for (const one of [find, only, from]) one.addEventListener("input", filter);
filter();
