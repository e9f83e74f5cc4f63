// Runs before the page is painted, so that nobody who wants it dark is blinded first. No module: those run later.
(() => {
  const chosen = localStorage.getItem("patchbay-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  document.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = document.documentElement.dataset.theme ?? "auto";
    select.addEventListener("change", () => {
      if (select.value === "auto") {
        localStorage.removeItem("patchbay-theme");
        delete document.documentElement.dataset.theme;
      } else {
        localStorage.setItem("patchbay-theme", select.value);
        document.documentElement.dataset.theme = select.value;
      }
    });
  });
})();
