"""Labels from people: the store of questions and answers, the page in the browser."""
