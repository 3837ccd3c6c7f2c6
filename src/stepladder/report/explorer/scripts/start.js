// Everything is there: listen, read the address, draw.
listen();
listenForWords();
listenForPlaces();
listenToHand();
listenToQuestions();
readAddress();
show();
drawHand();
loadPictures().then(() => {
  work();
  showTheme();
  root.dataset.ready = "yes";
});
