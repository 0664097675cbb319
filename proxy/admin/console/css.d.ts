/** Style sheets are imported for the builder to find them. */
declare module '*.css';
