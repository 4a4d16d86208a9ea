if (document.getElementById("data-documents")) startDocuments();
startPage();
