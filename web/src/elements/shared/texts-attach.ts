/** The texts of what is added to a message, or sent in place of a text. */

export const ATTACH_TEXTS = {
  takePhoto: 'Take a photo',
  choosePhoto: 'Choose a picture',
  chooseFile: 'Choose a file',
  dropHere: 'Drop files to attach them',
  newChecklist: 'Checklist',
  newPoll: 'Poll',
  sendUrgent: 'Send as urgent',
}
