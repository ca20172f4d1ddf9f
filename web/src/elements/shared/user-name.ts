/** Returns the name by which a user is shown. */
export function nameOf(user: { readonly full_name?: string; readonly username: string }): string {
  return user.full_name || user.username
}
