// The recovery code is copied with a button, where there are scripts.

document.documentElement.classList.add("js");
for (const button of document.querySelectorAll("[data-copy-from]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copyFrom).textContent.trim());
    const said = document.getElementById("said");
    said.textContent = said.dataset.copied;
  });
}
